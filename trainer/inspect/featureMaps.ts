import type { ImageFeatures } from '../dense/imageFeatures.ts';
import { fromFloat16, toFloat16 } from '../float16.ts';
import { unfittableReason } from '../images/geometry.ts';
import type { Raster } from '../images/raster.ts';
import { unsuitableSize } from '../models/architecture.ts';
import { type DenseReadOut, readOutsOf } from '../models/visionStages.ts';
import { version } from '../version.ts';
import type { FileHashes } from './fileHashes.ts';
import type { ImageStore } from './imageStore.ts';
import { cacheError, InspectError, isMemoryError, modelError, translating } from './inspectError.ts';
import { type CachedMap, MapCache } from './mapCache.ts';
import { availableBytes, checkMemory, forwardBytes } from './memoryPlan.ts';
import { type ResolvedModel, resolveReference } from './modelReference.ts';
import type { ModelStore } from './modelStore.ts';
import type {
  FeaturesParams,
  MapFileParams,
  MapFileResult,
  MapResult,
  ModelReference,
  PatchGrid,
} from './protocol.ts';
import type { RequestContext } from './requestContext.ts';

/** A dense map on the host. */
export interface HostMap {
  /** [rows, columns, dimension]: the cached float16 values, whether or not they come from the cache. */
  features: Float32Array;
  rows: number;
  columns: number;
  dimension: number;
  valid: PatchGrid;
  /** Hash of the image. */
  image: string;
  imageWidth: number;
  imageHeight: number;
}

/** A model and an image of a request, found and decoded. */
export interface Subject {
  model: ResolvedModel;
  image: Raster;
  imageHash: string;
}

/** What is shared by all that looks at images: models, decoded images and the cache of maps. */
export class FeatureMaps {
  readonly #models: ModelStore;
  readonly #images: ImageStore;
  readonly #hashes: FileHashes;
  readonly #cache: MapCache;
  readonly #memoryLimit: number;
  /** The map that was computed last: what is asked of it next need not wait for the disk. */
  #latest: { key: string; map: HostMap } | null = null;
  /** Its way into the cache, which nobody waits for who does not look there. */
  #writing: { key: string; map: Promise<CachedMap> } | null = null;

  /** @param memoryLimit Bytes that a forward pass may take, if the system has them. */
  constructor(
    models: ModelStore,
    images: ImageStore,
    hashes: FileHashes,
    cache: MapCache,
    memoryLimit: number,
  ) {
    this.#models = models;
    this.#images = images;
    this.#hashes = hashes;
    this.#cache = cache;
    this.#memoryLimit = memoryLimit;
  }

  resolve(reference: ModelReference): Promise<ResolvedModel> {
    return translating(modelError, () => resolveReference(reference, this.#hashes));
  }

  /** Identifies maps of this version and engine. */
  keyOf(kind: string, parts: readonly (string | number | null)[]): string {
    const { name, version: engine } = this.#models.engine;
    return MapCache.keyOf([kind, version, name, engine, ...parts]);
  }

  async subject(params: { model: ModelReference; image: string }, context: RequestContext): Promise<Subject> {
    const model = await this.resolve(params.model);
    context.progress('decoding', 0);
    const imageHash = await this.#images.hash(params.image);
    return { model, image: await this.#images.decode(params.image, imageHash), imageHash };
  }

  /**
   * Loads the model and runs `work` with it, told of each of `stages` stages; running out of memory becomes an answer.
   *
   * @param needed Bytes that it takes at a size in pixels.
   */
  async forward<T>(
    model: ResolvedModel,
    size: number,
    stages: number,
    context: RequestContext,
    work: (features: ImageFeatures) => Promise<T>,
    needed: (size: number) => number = size => forwardBytes(model.files.architecture, size),
  ): Promise<T> {
    const { patchSize } = model.files.architecture;
    checkMemory(patchSize, size, availableBytes(this.#memoryLimit), needed);
    if (!this.#models.isLoaded(model)) context.progress('loading model', 0.05);
    await context.breathe();
    const features = await translating(modelError, () => this.#models.load(model));
    context.progress('forward', 0.2);
    let done = 0;
    this.#models.watch.beforeStage = async () => {
      await context.breathe();
      context.progress('forward', 0.2 + (0.7 * done++) / stages);
    };
    try {
      return await work(features);
    } catch (error) {
      if (!isMemoryError(error)) throw error;
      const smaller = Math.max(patchSize, Math.floor(size / 2 / patchSize) * patchSize);
      const message = `The memory was not enough for ${size} px. Choose ${smaller} px or less`;
      throw new InspectError('outOfMemory', message, { suggestedSize: smaller });
    } finally {
      this.#models.watch.beforeStage = null;
    }
  }

  /** `inspect/features`, without clusters. */
  async features(params: FeaturesParams, context: RequestContext): Promise<MapResult> {
    const started = performance.now();
    const hashing = this.#images.hash(params.image);
    // What is wrong with the model is told first.
    hashing.catch(() => undefined);
    const model = await this.resolve(params.model);
    const readOut = checkReadOut(params, model);
    const { size } = params;
    const layer = params.layer ?? model.files.architecture.layers;
    checkSize(size, model);
    const imageHash = await hashing;
    const key = this.keyOf('features', [imageHash, model.hash, size, readOut, layer]);
    const cached = await this.cached(key);
    if (cached) return toResult(cached, { decode: 0, forward: 0, total: performance.now() - started }, true);

    context.progress('decoding', 0);
    const decoding = performance.now();
    const image = await this.#images.decode(params.image, imageHash);
    checkFits(params.image, image, size);
    const decode = performance.now() - decoding;
    let forward = 0;
    const dense = await this.forward(model, size, layer + 2, context, async features => {
      const running = performance.now();
      const result = await features.dense(image, size, { readOut, layer });
      forward = performance.now() - running;
      return result;
    });
    context.check();
    const numbers = {
      rows: dense.side,
      columns: dense.side,
      dimension: dense.features.length / dense.side ** 2,
      validRows: dense.valid.rows,
      validColumns: dense.valid.columns,
      imageWidth: image.width,
      imageHeight: image.height,
      patchSize: model.files.architecture.patchSize,
      size,
    };
    const halves = toFloat16(dense.features);
    const map = { key, image: imageHash, numbers };
    await this.settled();
    this.#latest = { key, map: hostMap(map, halves) };
    this.#write(map, halves);
    return toResult(map, { decode, forward, total: performance.now() - started }, false);
  }

  #write({ key, image, numbers }: Omit<CachedMap, 'file'>, halves: Uint16Array): void {
    const map = this.put(key, image, halves, numbers);
    // Told to whoever asks for the file.
    map.catch(() => undefined);
    this.#writing = { key, map };
  }

  /** What was computed is in the cache, or could not be written. */
  async settled(): Promise<void> {
    await this.#writing?.map.catch(() => undefined);
  }

  /**
   * `inspect/mapFile`.
   *
   * @throws InspectError when the map could not be written or is gone.
   */
  async file({ key }: MapFileParams): Promise<MapFileResult> {
    if (this.#writing?.key === key) await this.#writing.map;
    const { file } = (await this.#cache.get(key)) ?? unknownKey();
    return { file };
  }

  /** Keeps a map in the cache. */
  put(
    key: string,
    imageHash: string,
    values: Uint16Array | Float32Array,
    numbers: Readonly<Record<string, number>>,
  ): Promise<CachedMap> {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return translating(cacheError, () => this.#cache.put(key, imageHash, bytes, numbers));
  }

  /** A map that some key names, or null. */
  async cached(key: string): Promise<CachedMap | null> {
    await this.settled();
    return this.#cache.get(key);
  }

  /** The dense map of an earlier answer. Throws InspectError when it is gone. */
  async read(key: string): Promise<HostMap> {
    if (this.#latest?.key === key) return this.#latest.map;
    await this.settled();
    const found = await this.#cache.get(key);
    if (found?.numbers.dimension === undefined) return unknownKey();
    return hostMap(
      found,
      new Uint16Array(found.bytes.buffer, found.bytes.byteOffset, found.bytes.byteLength / 2),
    );
  }
}

function unknownKey(): never {
  throw new InspectError('unknownKey', 'The features are no longer cached. Ask for them again');
}

function hostMap(map: Omit<CachedMap, 'file'>, halves: Uint16Array): HostMap {
  const { rows, columns, dimension, valid, imageWidth, imageHeight } = toResult(map, noTime, true);
  const { image } = map;
  return { features: fromFloat16(halves), rows, columns, dimension, valid, image, imageWidth, imageHeight };
}

const noTime = { decode: 0, forward: 0, total: 0 };

function toResult(
  { key, numbers }: Omit<CachedMap, 'file'>,
  milliseconds: MapResult['milliseconds'],
  cached: boolean,
): MapResult {
  const { rows, columns, dimension, validRows, validColumns, imageWidth, imageHeight, patchSize, size } =
    numbers as Record<string, number> & Record<'rows' | 'columns' | 'dimension', number>;
  return {
    key,
    rows,
    columns,
    valid: { rows: validRows!, columns: validColumns! },
    dimension,
    imageWidth: imageWidth!,
    imageHeight: imageHeight!,
    patchSize: patchSize!,
    size: size!,
    milliseconds,
    cached,
  };
}

/** Throws InspectError when the model has no such read-out or layer. */
function checkReadOut({ readOut, layer }: FeaturesParams, { files }: ResolvedModel): DenseReadOut {
  const { layers, kind } = files.architecture;
  if (layer !== null && layer > layers)
    throw new InspectError('badRequest', `The model has layers 1 to ${layers}, not ${layer}`);
  const readOuts = readOutsOf(files.architecture);
  const known = readOuts.find(name => name === readOut);
  if (!known) {
    const message = `The model has no map of the read-out '${readOut}'. Choose one of ${readOuts.join(', ')}`;
    throw new InspectError('readOutUnsupported', message);
  }
  if (kind === 'resnet' && (layer ?? layers) !== layers)
    throw new InspectError('readOutUnsupported', `A ResNet is read after its last stage, ${layers}, only`);
  return known;
}

/** Throws InspectError when the tower has no blocks with tokens and attention. */
export function checkTransformer({ files }: ResolvedModel): void {
  if (files.architecture.kind !== 'resnet') return;
  const message = 'A ResNet has no tokens and no attention between them. Choose a vision transformer';
  throw new InspectError('readOutUnsupported', message);
}

/** Throws InspectError, with the nearest size that works, when the tower cannot take `size` pixels. */
export function checkSize(size: number, { files }: ResolvedModel): void {
  const unsuitable = unsuitableSize(size, files.architecture);
  if (!unsuitable) return;
  const { rule, nearest } = unsuitable;
  const message = `The size must ${rule}, and ${size} px does not do. The nearest that does is ${nearest} px`;
  throw new InspectError('sizeUnsuitable', message, { suggestedSize: nearest });
}

/** Throws InspectError when the image is so thin that nothing of it would be left. */
export function checkFits(file: string, { width, height }: Raster, size: number): void {
  const reason = unfittableReason(width, height, size);
  if (reason !== null) throw new InspectError('imageUnreadable', `${file}: ${reason}. Choose another image`);
}
