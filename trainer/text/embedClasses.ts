import { createHash } from 'node:crypto';
import type { Engine } from '../engines/engine.ts';
import type { EmbedTextOptions } from '../models/textTower.ts';
import type { ClassEmbeddings } from './classEmbeddings.ts';
import { meanDirections } from './ensemble.ts';
import { PromptEncoder, type TextSource, vocabularyHash } from './promptEncoder.ts';
import { type PromptSet, promptsFor } from './prompts.ts';

/** Where embeddings wait for the next time; `MapCache` is one. What is damaged or gone is computed again. */
export interface EmbeddingCache {
  get(key: string): Promise<{ bytes: Buffer<ArrayBuffer> } | null>;
  /** @param group What the entry belongs to: the hash of the model. */
  put(
    key: string,
    group: string,
    bytes: Uint8Array,
    numbers: Readonly<Record<string, number>>,
  ): Promise<unknown>;
}

export interface EmbedClassesOptions extends EmbedTextOptions {
  /** Null or missing: nothing is remembered. */
  cache?: EmbeddingCache | null;
}

/** Prompts that are held at once; classes beyond follow in the next portion. */
const portion = 4096;

/**
 * Embeds the words of classes with a model: the prompts of each are embedded, normalised, averaged and normalised. The
 * text tower is loaded when the cache does not know the answer, and unloaded again.
 *
 * @param source See `findTextSource`.
 * @param modelHash Identifies the model, 64 hex digits; `ResolvedModel.hash`.
 * @param names Names of the classes as their list has them, or free words.
 * @param prompts `plainPrompts` takes the words as they are.
 * @throws FileError when weights or vocabulary are damaged; the signal's reason when it is aborted.
 */
export async function embedClasses(
  engine: Engine,
  source: TextSource,
  modelHash: string,
  names: readonly string[],
  prompts: PromptSet,
  { cache = null, signal, onProgress }: EmbedClassesOptions = {},
): Promise<ClassEmbeddings> {
  const texts = names.map(name => promptsFor(name, prompts));
  const dimension = source.files.architecture.embeddingDimension;
  const key = await cacheKey(source, modelHash, texts);
  const known = await cache?.get(key);
  if (known && known.bytes.byteLength === names.length * dimension * 4) {
    const { buffer, byteOffset, byteLength } = known.bytes;
    const data = new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
    return { dimension, names, data };
  }
  const encoder = await PromptEncoder.open(engine, source);
  try {
    const data = await embedEnsembles(encoder, texts, { signal, onProgress });
    // Not being able to remember is no reason to fail.
    await cache
      ?.put(key, modelHash, new Uint8Array(data.buffer), { rows: names.length, dimension })
      .catch(() => null);
    return { dimension, names, data };
  } finally {
    await encoder.dispose();
  }
}

/**
 * Mean directions of classes, `[classes, D]` of unit norm.
 *
 * @param texts The prompts of each class.
 */
export async function embedEnsembles(
  encoder: PromptEncoder,
  texts: readonly (readonly string[])[],
  { signal, onProgress }: EmbedTextOptions = {},
): Promise<Float32Array> {
  const all = texts.reduce((sum, prompts) => sum + prompts.length, 0);
  const result = new Float32Array(texts.length * encoder.dimension);
  let embedded = 0;
  for (let start = 0; start < texts.length; ) {
    let end = start + 1;
    let count = texts[start]!.length;
    while (end < texts.length && count + texts[end]!.length <= portion) count += texts[end++]!.length;
    const before = embedded;
    const chosen = texts.slice(start, end);
    const embeddings = await encoder.embed(chosen.flat(), {
      signal,
      onProgress: done => onProgress?.(before + done, all),
    });
    const counts = chosen.map(({ length }) => length);
    result.set(meanDirections(embeddings, counts, encoder.dimension), start * encoder.dimension);
    embedded += count;
    start = end;
  }
  return result;
}

/** Everything that the embeddings depend on. */
async function cacheKey(
  source: TextSource,
  modelHash: string,
  texts: readonly (readonly string[])[],
): Promise<string> {
  const { architecture, prefix } = source.location;
  const parts = ['class embeddings 1', modelHash, architecture, prefix, await vocabularyHash(source)];
  const hash = createHash('sha256').update(JSON.stringify(parts));
  for (const prompts of texts) hash.update(JSON.stringify(prompts));
  return hash.digest('hex');
}
