import { type DeviceTensor, disposeAll, type Engine, readFloats } from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import { type Parameters, stageFeeds } from './stageFeeds.ts';
import {
  causalInput,
  causalMask,
  endsInput,
  type TextModel,
  type TextStage,
  textStages,
} from './textStages.ts';

/** Texts that run together. */
const mostTexts = 64;
/** Lengths are rounded up to multiples of this, so that few programs serve all texts. */
const lengthStep = 8;

export interface EmbedTextOptions {
  /** Ends the work between two batches with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Told after each batch how many of how many texts are done. */
  onProgress?: ((done: number, all: number) => void) | undefined;
}

/** Runs a text tower without gradients, texts of like length together. */
export class TextTower {
  readonly model: TextModel;
  readonly #engine: Engine;
  readonly #parameters: Parameters;
  readonly #programs: ProgramCache;

  /** @param parameters On the engine, by checkpoint name. */
  constructor(engine: Engine, model: TextModel, parameters: Parameters, programs: ProgramCache) {
    this.model = model;
    this.#engine = engine;
    this.#parameters = parameters;
    this.#programs = programs;
  }

  /**
   * Embeddings of texts, not normalised.
   *
   * @param texts Token ids, each as many as the context length.
   * @returns `[texts, D]`
   */
  async embed(
    texts: readonly Int32Array[],
    { signal, onProgress }: EmbedTextOptions = {},
  ): Promise<Float32Array> {
    const { embeddingDimension } = this.model;
    const ends = texts.map(ids => this.#endOf(ids));
    // What comes after the end of a text is seen by nobody, so only what comes before is computed.
    const order = texts.map((_, index) => index).sort((a, b) => ends[a]! - ends[b]!);
    const embeddings = new Float32Array(texts.length * embeddingDimension);
    for (let start = 0; start < order.length; start += mostTexts) {
      signal?.throwIfAborted();
      const chosen = order.slice(start, start + mostTexts);
      const found = await this.#embedBatch(
        chosen.map(index => texts[index]!),
        chosen.map(index => ends[index]!),
      );
      chosen.forEach((index, row) => {
        const part = found.subarray(row * embeddingDimension, (row + 1) * embeddingDimension);
        embeddings.set(part, index * embeddingDimension);
      });
      onProgress?.(start + chosen.length, texts.length);
    }
    return embeddings;
  }

  /** Position of the token at which a text is read out. */
  #endOf(ids: Int32Array): number {
    const { contextLength, vocabularySize, endOfText } = this.model.architecture;
    if (ids.length !== contextLength)
      throw new RangeError(`a text of ${ids.length} tokens was given to a tower that takes ${contextLength}`);
    const foreign = ids.find(id => id < 0 || id >= vocabularySize);
    if (foreign !== undefined)
      throw new RangeError(`the text tower knows ${vocabularySize} tokens; got the id ${foreign}`);
    // As the published code: the first place of the highest id, or of the given one; the start where it is missing.
    return Math.max(0, ids.indexOf(endOfText ?? Math.max(...ids)));
  }

  async #embedBatch(texts: readonly Int32Array[], ends: readonly number[]): Promise<Float32Array> {
    const needed = Math.max(...ends) + 1;
    const tokens = Math.min(
      this.model.architecture.contextLength,
      Math.ceil(needed / lengthStep) * lengthStep,
    );
    const ids = new Int32Array(texts.length * tokens);
    texts.forEach((text, row) => {
      ids.set(text.subarray(0, tokens), row * tokens);
    });
    const tables = {
      [causalInput]: this.#engine.upload([tokens, tokens], causalMask(tokens)),
      [endsInput]: this.#engine.upload(
        [texts.length],
        Int32Array.from(ends, (end, row) => row * tokens + end),
      ),
    };
    const input = this.#engine.upload([ids.length], ids);
    try {
      const output = await this.#run(textStages(this.model, { texts: texts.length, tokens }), input, tables);
      const embeddings = await readFloats(this.#engine, output);
      output.dispose();
      return embeddings;
    } finally {
      input.dispose();
      disposeAll(tables);
    }
  }

  /** The input stays with the caller. */
  async #run(
    stages: readonly TextStage[],
    input: DeviceTensor,
    tables: Readonly<Record<string, DeviceTensor>>,
  ): Promise<DeviceTensor> {
    let current = input;
    for (const stage of stages) {
      try {
        const program = await this.#programs.get(stage.key, () => ({ output: stage.output }));
        const results = await program.run(stageFeeds(stage, current, this.#parameters, tables));
        if (current !== input) current.dispose();
        current = results.output!;
      } catch (error) {
        if (current !== input) current.dispose();
        throw error;
      }
    }
    return current;
  }
}
