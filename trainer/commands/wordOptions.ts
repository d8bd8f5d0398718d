import { hashFile } from '../checkpoints/modelFiles.ts';
import { modelPath } from '../checkpoints/modelsFolder.ts';
import { parseWords, type Words } from '../dense/words.ts';
import { createEngine } from '../engines/createEngine.ts';
import { resolveReference } from '../inspect/modelReference.ts';
import { readClassEmbeddings } from '../text/classEmbeddings.ts';
import { classesOfNames, readClassList } from '../text/classList.ts';
import { embedClasses } from '../text/embedClasses.ts';
import { findTextSource } from '../text/promptEncoder.ts';
import { defaultPrompts, type PromptSet, plainPrompts, readPrompts } from '../text/prompts.ts';
import { UsageError } from '../usageError.ts';
import type { ImageOptions, OwnValues } from './imageOptions.ts';
import { interruptible, openTextCache } from './readingText.ts';

/** Options of commands that take words, beside their others. */
export const wordOptions = {
  words: { type: 'string' },
  classes: { type: 'string' },
  prompts: { type: 'string' },
  plain: { type: 'boolean' },
  embeddings: { type: 'string' },
} as const;

export const wordUsage = '(--words A,B,… | --classes F) [--prompts F | --plain | --embeddings F.npy]';

export const wordHelp = `  --words A,B   words, separated by commas
  --classes F   words of a file: COCO-style annotations, a JSON array of names, or a text file with a name a line
  --prompts F   sentences with {} for the word, a line each or a JSON array; the built-in ${defaultPrompts.templates.length} without it
  --plain       words as they are, without a sentence around them
  --embeddings  class embeddings [words, D] instead of the model's text tower, in the order of the words`;

/** Which words, and how they become directions. */
export interface WordChoice {
  names: readonly string[];
  prompts: PromptSet;
  /** `.npy` file that has the embeddings; null where the model reads the words. */
  embeddings: string | null;
}

/**
 * The words that a command was given; null when it was given none.
 *
 * @throws UsageError when options exclude each other or need words; FileError when a file cannot be read.
 */
export async function readWordChoice(own: OwnValues): Promise<WordChoice | null> {
  const { words, classes, prompts, plain, embeddings } = Object.fromEntries(own) as Partial<
    Record<keyof typeof wordOptions, string>
  >;
  if ([prompts, plain, embeddings].filter(option => option !== undefined).length > 1)
    throw new UsageError('--prompts, --plain and --embeddings exclude each other');
  if (words !== undefined && classes !== undefined)
    throw new UsageError('--words and --classes exclude each other');
  if (words === undefined && classes === undefined) {
    if (prompts !== undefined || plain !== undefined || embeddings !== undefined)
      throw new UsageError('--prompts, --plain and --embeddings need words: give --words or --classes');
    return null;
  }
  const list =
    classes === undefined ? classesOfNames(parseWords(words!), '--words') : await readClassList(classes);
  const sentences = plain === undefined ? defaultPrompts : plainPrompts;
  return {
    names: list.map(({ name }) => name),
    prompts: prompts === undefined ? sentences : await readPrompts(prompts),
    embeddings: embeddings ?? null,
  };
}

/**
 * The words as directions in the model's joint embedding space.
 *
 * @throws NoTextTowerError when the model cannot read words; FileError when a file does not fit.
 */
export async function embedWords(
  { names, prompts, embeddings }: WordChoice,
  { model, arch, step, engine: engineName, threads }: ImageOptions<string>,
): Promise<Words> {
  const reference = { path: await modelPath(model), arch, step, blend: null };
  const { files, hash, source } = await resolveReference(reference, { of: hashFile });
  if (embeddings !== null)
    return readClassEmbeddings(embeddings, names, files.architecture.embeddingDimension);
  const text = await findTextSource(files, source?.path ?? null);
  const engine = await createEngine(engineName, threads);
  try {
    const cache = await openTextCache();
    return await interruptible(options =>
      embedClasses(engine, text, hash, names, prompts, { cache, ...options }),
    );
  } finally {
    await engine.dispose();
  }
}
