import { ImageFeatures } from '../dense/imageFeatures.ts';
import { type DeviceTensor, disposeAll, type Engine } from '../engines/engine.ts';
import { sizeOf } from '../graph/shape.ts';
import { PositionInterpolations, VisionTower } from '../models/visionTower.ts';
import type { ResolvedModel } from './modelReference.ts';
import { type StageWatch, WatchedPrograms } from './watchedPrograms.ts';

export interface ModelBounds {
  /** Most models kept loaded. */
  models: number;
  /** Most bytes of their parameters; the one in use is kept whatever its size. */
  bytes: number;
}

interface LoadedModel {
  features: ImageFeatures;
  bytes: number;
  /** Models of one architecture share programs. */
  shared: string;
  parameters: ReadonlyMap<string, DeviceTensor>;
}

interface SharedPrograms {
  programs: WatchedPrograms;
  interpolations: PositionInterpolations;
}

/** Models kept on an engine, the least recently used one unloaded for another. Not for concurrent use. */
export class ModelStore {
  readonly engine: Engine;
  readonly watch: StageWatch = { beforeStage: null };
  readonly #bounds: ModelBounds;
  /** By hash, in order of last use. */
  readonly #loaded = new Map<string, LoadedModel>();
  readonly #shared = new Map<string, SharedPrograms>();

  constructor(engine: Engine, bounds: ModelBounds) {
    this.engine = engine;
    this.#bounds = bounds;
  }

  /** Hashes of the models that are loaded, the latest used last. */
  get hashes(): string[] {
    return [...this.#loaded.keys()];
  }

  isLoaded(model: ResolvedModel): boolean {
    return this.#loaded.has(model.hash);
  }

  /**
   * The model's features; valid until another model is asked for.
   *
   * @throws FileError when its weights cannot be read.
   */
  async load(model: ResolvedModel): Promise<ImageFeatures> {
    const known = this.#loaded.get(model.hash);
    if (known) {
      this.#loaded.delete(model.hash);
      this.#loaded.set(model.hash, known);
      return known.features;
    }
    // Asked once, the engine refuses programs that are too large for the card by name; the driver would not.
    await this.engine.largestTensorBytes?.();
    const bytes = parameterBytes(model);
    await this.#makeRoom(bytes);
    const parameters = await model.upload(this.engine);
    const { architecture, normalisation } = model.files;
    const { text: _text, ...vision } = architecture;
    const shared = JSON.stringify(vision);
    const { programs, interpolations } = this.#sharedFor(shared, model);
    const tower = new VisionTower(architecture, parameters, programs, interpolations);
    const features = new ImageFeatures(this.engine, tower, normalisation);
    this.#loaded.set(model.hash, { features, bytes, shared, parameters });
    await this.#dropUnusedPrograms();
    return features;
  }

  async dispose(): Promise<void> {
    for (const hash of this.hashes) this.#unload(hash);
    await this.#dropUnusedPrograms();
  }

  async #makeRoom(bytes: number): Promise<void> {
    let total = bytes;
    for (const { bytes: held } of this.#loaded.values()) total += held;
    for (const [hash, { bytes: held }] of this.#loaded) {
      if (this.#loaded.size < this.#bounds.models && total <= this.#bounds.bytes) break;
      total -= held;
      this.#unload(hash);
    }
  }

  #unload(hash: string): void {
    disposeAll(this.#loaded.get(hash)!.parameters.values());
    this.#loaded.delete(hash);
  }

  #sharedFor(key: string, model: ResolvedModel): SharedPrograms {
    let shared = this.#shared.get(key);
    if (!shared) {
      const interpolations = new PositionInterpolations(this.engine, model.files.architecture);
      shared = { programs: new WatchedPrograms(this.engine, this.watch), interpolations };
      this.#shared.set(key, shared);
    }
    return shared;
  }

  async #dropUnusedPrograms(): Promise<void> {
    const used = new Set([...this.#loaded.values()].map(({ shared }) => shared));
    for (const [key, { programs, interpolations }] of this.#shared) {
      if (used.has(key)) continue;
      this.#shared.delete(key);
      interpolations.dispose();
      await programs.dispose();
    }
  }
}

/** Of the image tower in float32. */
function parameterBytes({ files }: ResolvedModel): number {
  let elements = 0;
  for (const [name, { shape }] of files.header.tensors)
    if (name.startsWith('visual.')) elements += sizeOf(shape);
  return 4 * elements;
}
