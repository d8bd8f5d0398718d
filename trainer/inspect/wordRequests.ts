import { FileError } from '../checkpoints/fileError.ts';
import { hashWeights } from '../checkpoints/modelFiles.ts';
import type { Engine } from '../engines/engine.ts';
import { NoTextTowerError } from '../models/textArchitecture.ts';
import { readClassEmbeddings } from '../text/classEmbeddings.ts';
import { embedEnsembles } from '../text/embedClasses.ts';
import { findTextSource, PromptEncoder, type TextSource, vocabularyHash } from '../text/promptEncoder.ts';
import { defaultPrompts, plainPrompts, promptsFor } from '../text/prompts.ts';
import { base64 } from './base64.ts';
import type { FeatureMaps } from './featureMaps.ts';
import { InspectError, modelError, translating } from './inspectError.ts';
import { Latest } from './latest.ts';
import { type Hashes, type ResolvedModel, resolveReference } from './modelReference.ts';
import type { WordPrompts, WordsParams, WordsResult } from './protocol.ts';
import type { RequestContext } from './requestContext.ts';

/** Words that are embedded together. */
const wordsAtOnce: Readonly<Record<WordPrompts, number>> = { ensemble: 4, plain: 64 };
const keptWords = 8_192;

/** A text tower that was found, and what identifies all that it makes of a text. */
interface Reader {
  source: TextSource;
  hash: string;
}

/** Embeds words; the text tower used last stays loaded. */
export class WordRequests {
  readonly #engine: Engine;
  readonly #maps: FeatureMaps;
  readonly #hashes: Hashes;
  readonly #known = new Latest<Float32Array>(keptWords);
  #loaded: { hash: string; encoder: PromptEncoder } | null = null;

  constructor(engine: Engine, maps: FeatureMaps, hashes: Hashes) {
    this.#engine = engine;
    this.#maps = maps;
    this.#hashes = hashes;
  }

  /** `inspect/words`. */
  async words(params: WordsParams, context: RequestContext): Promise<WordsResult> {
    const model = await this.#maps.resolve(params.model);
    const dimension = model.files.architecture.embeddingDimension;
    if (params.embeddings !== null) return readWords(params.embeddings, params.words, dimension);
    const reader = await this.#readerOf(model);
    const data = await this.#embed(reader, params, context);
    if (data.length !== params.words.length * dimension) {
      const message = `The model's words have ${data.length / params.words.length} channels and its features ${dimension}. Use class embeddings from a .npy file`;
      throw new InspectError('noTextTower', message);
    }
    return { dimension, data: base64(data) };
  }

  async dispose(): Promise<void> {
    await this.#loaded?.encoder.dispose();
    this.#loaded = null;
  }

  /** Training leaves the text tower as it is, so that all steps of a run share that of the model it started from. */
  async #readerOf(model: ResolvedModel): Promise<Reader> {
    const { files } = (model.source && (await this.#sourceOf(model.source))) ?? model;
    return translating(textError, async () => {
      const source = await findTextSource(files, model.source?.path ?? null);
      const weights = await hashWeights(files, file => this.#hashes.of(file));
      const hash = JSON.stringify([weights, source.location, await vocabularyHash(source)]);
      return { source, hash };
    });
  }

  /** Null where it is gone. */
  #sourceOf(source: NonNullable<ResolvedModel['source']>): Promise<ResolvedModel | null> {
    return resolveReference(source, this.#hashes).catch(() => null);
  }

  /** [words, channels of the text tower]. */
  async #embed(
    reader: Reader,
    { words, prompts }: WordsParams,
    context: RequestContext,
  ): Promise<Float32Array> {
    const keyOf = (word: string): string => JSON.stringify([reader.hash, prompts, word]);
    const missing = [...new Set(words)].filter(word => this.#known.get(keyOf(word)) === undefined);
    const embedded = new Map<string, Float32Array>();
    if (missing.length > 0) {
      const encoder = await this.#encoderOf(reader, context);
      const atOnce = wordsAtOnce[prompts];
      for (let start = 0; start < missing.length; start += atOnce) {
        await context.breathe();
        const chosen = missing.slice(start, start + atOnce);
        const rows = await embedEnsembles(
          encoder,
          chosen.map(word => promptsOf(word, prompts)),
          // After each batch: whether they are still wanted.
          { onProgress: () => context.check() },
        );
        chosen.forEach((word, row) => {
          const vector = rows.slice(row * encoder.dimension, (row + 1) * encoder.dimension);
          embedded.set(word, vector);
          this.#known.set(keyOf(word), vector);
        });
        context.progress('reading words', 0.2 + (0.8 * (start + chosen.length)) / missing.length);
      }
    }
    const vectors = words.map(word => embedded.get(word) ?? this.#known.get(keyOf(word))!);
    const data = new Float32Array(vectors.length * vectors[0]!.length);
    vectors.forEach((vector, row) => {
      data.set(vector, row * vector.length);
    });
    return data;
  }

  async #encoderOf({ source, hash }: Reader, context: RequestContext): Promise<PromptEncoder> {
    if (this.#loaded?.hash === hash) return this.#loaded.encoder;
    context.progress('loading model', 0.05);
    await context.breathe();
    await this.dispose();
    const encoder = await translating(textError, () => PromptEncoder.open(this.#engine, source));
    this.#loaded = { hash, encoder };
    return encoder;
  }
}

const promptsOf = (word: string, prompts: WordPrompts): string[] =>
  promptsFor(word, prompts === 'plain' ? plainPrompts : defaultPrompts);

const textError = (error: unknown): unknown =>
  error instanceof NoTextTowerError ? new InspectError('noTextTower', error.message) : modelError(error);

const readWords = (file: string, words: readonly string[], dimension: number): Promise<WordsResult> =>
  translating(
    error => (error instanceof FileError ? new InspectError('wordsUnreadable', error.message) : error),
    async () => ({ dimension, data: base64((await readClassEmbeddings(file, words, dimension)).data) }),
  );
