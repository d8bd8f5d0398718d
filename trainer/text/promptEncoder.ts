import { stat } from 'node:fs/promises';
import path from 'node:path';
import { FileError } from '../checkpoints/fileError.ts';
import { hashFile, type ModelFiles } from '../checkpoints/modelFiles.ts';
import { type DeviceTensor, disposeAll, type Engine } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import { textTensorShapes } from '../models/tensorShapes.ts';
import { locateTextTower, type TextTowerLocation } from '../models/textArchitecture.ts';
import { type EmbedTextOptions, TextTower } from '../models/textTower.ts';
import { uploadParameters } from '../training/modelParameters.ts';
import { normaliseRows } from './classEmbeddings.ts';
import { clipTokenizer, readTokenizer, type Tokenizer } from './tokenizer.ts';

/** A model that may read words, not loaded. */
export interface TextSource {
  readonly files: ModelFiles;
  /** The text tower, its tensors checked. */
  readonly location: TextTowerLocation;
  /** The model's own vocabulary; null for CLIP's. */
  readonly tokenizerFile: string | null;
}

const tokenizerName = 'tokenizer.json';

/**
 * The text tower of a model, and the vocabulary that belongs to it: a `tokenizer.json` beside the weights or, for what
 * a run made of a model, beside that model.
 *
 * @param sourceModel Path of the model that a run started from.
 * @throws NoTextTowerError when the model cannot read words; FileError when its text tower is damaged.
 */
export async function findTextSource(
  files: ModelFiles,
  sourceModel: string | null = null,
): Promise<TextSource> {
  const location = locateTextTower({ ...files.header, file: files.weightsFile }, files.architecture);
  if (!files.activationKnown)
    throw new FileError(
      files.weightsFile,
      'it does not say which activation its text tower was trained with',
      `Pass --arch ${files.architecture.name} for OpenAI's weights, or the name without -quickgelu`,
    );
  const folders = [path.dirname(files.weightsFile)];
  if (sourceModel !== null) folders.push(sourceModel, path.dirname(sourceModel));
  for (const folder of folders) {
    const tokenizerFile = path.join(folder, tokenizerName);
    const isFile = await stat(tokenizerFile).then(
      status => status.isFile(),
      () => false,
    );
    if (isFile) return { files, location, tokenizerFile };
  }
  return { files, location, tokenizerFile: null };
}

/** Identifies the vocabulary, for keys of caches. */
export const vocabularyHash = async ({ tokenizerFile }: TextSource): Promise<string> =>
  tokenizerFile === null ? 'clip' : hashFile(tokenizerFile);

async function tokenizerOf({ files, location, tokenizerFile }: TextSource): Promise<Tokenizer> {
  const tokenizer = tokenizerFile === null ? clipTokenizer() : await readTokenizer(tokenizerFile);
  const { vocabularySize, endOfText } = location.architecture;
  const whose = tokenizerFile ?? "CLIP's vocabulary";
  const refuse = (reason: string): never => {
    throw new FileError(
      files.weightsFile,
      reason,
      `Put the ${tokenizerName} that belongs to the model beside its weights`,
    );
  };
  if (tokenizer.vocabularySize > vocabularySize)
    return refuse(
      `its text tower knows ${vocabularySize} tokens, but ${whose} has ${tokenizer.vocabularySize}`,
    );
  if (endOfText !== null && endOfText !== tokenizer.endOfText)
    return refuse(`its texts end with token ${endOfText}, but those of ${whose} with ${tokenizer.endOfText}`);
  return tokenizer;
}

/** A text tower on an engine with its tokeniser. Dispose of it when done. */
export class PromptEncoder {
  /** Channels of the joint embedding. */
  readonly dimension: number;
  /** Token ids of a text. */
  readonly contextLength: number;
  readonly #tower: TextTower;
  readonly #tokenizer: Tokenizer;
  readonly #parameters: ReadonlyMap<string, DeviceTensor>;
  readonly #programs: ProgramCache;

  private constructor(
    tower: TextTower,
    tokenizer: Tokenizer,
    parameters: ReadonlyMap<string, DeviceTensor>,
    programs: ProgramCache,
  ) {
    this.dimension = tower.model.embeddingDimension;
    this.contextLength = tower.model.architecture.contextLength;
    this.#tower = tower;
    this.#tokenizer = tokenizer;
    this.#parameters = parameters;
    this.#programs = programs;
  }

  /**
   * Loads the text tower onto an engine.
   *
   * @throws FileError when weights or vocabulary are damaged or do not belong together.
   */
  static async open(engine: Engine, source: TextSource): Promise<PromptEncoder> {
    const { files, location } = source;
    const tokenizer = await tokenizerOf(source);
    const { activation, embeddingDimension } = files.architecture;
    const names = new Set(
      [...textTensorShapes(location.architecture, embeddingDimension).keys()].map(
        name => location.prefix + name,
      ),
    );
    const parameters = await uploadParameters(engine, files.weightsFile, name => names.has(name));
    const programs = new ProgramCache(engine);
    const tower = new TextTower(
      engine,
      { ...location, activation, embeddingDimension },
      parameters,
      programs,
    );
    return new PromptEncoder(tower, tokenizer, parameters, programs);
  }

  /** Token ids of a text, as many as the context length. */
  tokens(text: string): Int32Array {
    return this.#tokenizer.encode(text, this.contextLength);
  }

  /**
   * Embeddings of texts.
   *
   * @returns `[texts, D]` of unit norm.
   */
  async embed(texts: readonly string[], options: EmbedTextOptions = {}): Promise<Float32Array> {
    const embeddings = await this.#tower.embed(
      texts.map(text => this.tokens(text)),
      options,
    );
    normaliseRows(embeddings, this.dimension);
    return embeddings;
  }

  async dispose(): Promise<void> {
    disposeAll(this.#parameters.values());
    await this.#programs.dispose();
  }
}
