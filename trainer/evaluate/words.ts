/** Where the words come from that regions are named with. */
import { FileError } from '../checkpoints/fileError.ts';
import type { ModelFiles } from '../checkpoints/modelFiles.ts';
import type { Engine } from '../engines/engine.ts';
import { type ClassEmbeddings, readClassEmbeddings } from '../text/classEmbeddings.ts';
import { type EmbedClassesOptions, embedClasses } from '../text/embedClasses.ts';
import { findTextSource } from '../text/promptEncoder.ts';
import { defaultPrompts, readPrompts } from '../text/prompts.ts';
import type { EvaluatedClass } from './protocol.ts';

/** Class embeddings of a file, prompts of a file, or neither: the default prompts. */
export interface WordsChoice {
  embeddings: string | null;
  prompts: string | null;
}

/** The model whose text tower reads prompts. */
export interface ReadingModel {
  files: ModelFiles;
  /** Identifies it, hex. */
  hash: string;
  /** Path of the model that a run started from; null for other models. */
  source: string | null;
}

export interface FoundWords {
  /** File, or name of the prompt set. */
  source: string;
  load(engine: Engine, options?: EmbedClassesOptions): Promise<ClassEmbeddings>;
}

/**
 * Finds the words and checks them against classes and model before anything is computed.
 *
 * @throws FileError also when a model without text tower should read prompts.
 */
export async function findWords(
  { embeddings, prompts }: WordsChoice,
  classes: readonly EvaluatedClass[],
  model: ReadingModel,
): Promise<FoundWords> {
  const names = classes.map(({ name }) => name);
  if (embeddings !== null) {
    const words = await readClassEmbeddings(embeddings, names, model.files.architecture.embeddingDimension);
    return { source: embeddings, load: async () => words };
  }
  const set = prompts === null ? defaultPrompts : await readPrompts(prompts);
  const source = await findTextSource(model.files, model.source);
  const load: FoundWords['load'] = async (engine, options) => {
    const words = await embedClasses(engine, source, model.hash, names, set, options);
    if (words.dimension === model.files.architecture.embeddingDimension) return words;
    const reason = `its words have ${words.dimension} channels, its images ${model.files.architecture.embeddingDimension}`;
    throw new FileError(
      model.files.weightsFile,
      reason,
      'Give the embeddings of the words as a file instead',
    );
  };
  return { source: prompts ?? `${set.name} prompts`, load };
}
