import { type DeviceTensor, disposeAll, type Engine, type Feeds } from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import { gridSide, type VisionArchitecture } from './architecture.ts';
import { firstReaders, maskAttentionBlock, visibleInput } from './maskAttention.ts';
import { interpolationMatrix } from './positionInterpolation.ts';
import { attentionWeightsStage } from './residualBlock.ts';
import { imageHead, interpolationInput, needsInterpolation } from './stemAndHead.ts';
import { type ImageBatch, keyOf, type VisionStage } from './visionStage.ts';
import { type DenseOptions, denseStages, imageStages, trunkStages } from './visionStages.ts';

/** Parameters on the device by checkpoint name. */
export type Parameters = ReadonlyMap<string, DeviceTensor>;

/** Position-interpolation matrices of an engine by grid, made once and fed to every stem that needs them. */
export class PositionInterpolations {
  readonly #engine: Engine;
  readonly #architecture: VisionArchitecture;
  readonly #matrices = new Map<string, DeviceTensor>();

  constructor(engine: Engine, architecture: VisionArchitecture) {
    this.#engine = engine;
    this.#architecture = architecture;
  }

  /** What a stem of this grid takes beside its parameters. */
  feedsFor(batch: ImageBatch): Feeds {
    if (!needsInterpolation(this.#architecture, batch)) return {};
    const key = `${batch.rows}x${batch.columns}`;
    let matrix = this.#matrices.get(key);
    if (!matrix) {
      const side = gridSide(this.#architecture);
      const grid = { height: batch.rows, width: batch.columns };
      const data = interpolationMatrix({ height: side, width: side }, grid);
      matrix = this.#engine.upload([batch.rows * batch.columns, side * side], data);
      this.#matrices.set(key, matrix);
    }
    return { [interpolationInput]: matrix };
  }

  dispose(): void {
    for (const matrix of this.#matrices.values()) matrix.dispose();
    this.#matrices.clear();
  }
}

/** The grid of a pixel tensor `[B, 3, H, W]`. Throws when H or W is not a multiple of the patch size. */
export function imageBatchOf(architecture: VisionArchitecture, pixels: DeviceTensor): ImageBatch {
  const [batch, channels, height, width] = pixels.shape;
  const { patchSize } = architecture;
  if (pixels.shape.length !== 4 || channels !== 3 || height! % patchSize || width! % patchSize)
    throw new RangeError(
      `images of shape [${pixels.shape.join(', ')}] are not [batch, 3, height, width] with sides of whole patches (${patchSize} px)`,
    );
  return { batch: batch!, rows: height! / patchSize, columns: width! / patchSize };
}

/** Feeds of a stage: its input, its parameters, and for a stem the interpolation. */
export function stageFeeds(
  stage: Pick<VisionStage, 'parameters'>,
  input: DeviceTensor,
  parameters: Parameters,
  stem: Feeds,
): Feeds {
  const feeds: Record<string, DeviceTensor> = { ...stem, input };
  for (const [name, checkpointName] of Object.entries(stage.parameters)) {
    const parameter = parameters.get(checkpointName);
    if (!parameter) throw new Error(`the model has no tensor '${checkpointName}'`);
    feeds[name] = parameter;
  }
  return feeds;
}

/** Runs an image tower without gradients, block by block, so that memory holds one block's activations. */
export class VisionTower {
  readonly architecture: VisionArchitecture;
  readonly #parameters: Parameters;
  readonly #programs: ProgramCache;
  readonly #interpolations: PositionInterpolations;

  constructor(
    architecture: VisionArchitecture,
    parameters: Parameters,
    programs: ProgramCache,
    interpolations: PositionInterpolations,
  ) {
    this.architecture = architecture;
    this.#parameters = parameters;
    this.#programs = programs;
    this.#interpolations = interpolations;
  }

  /** Pixels `[B, 3, H, W]` → image embeddings `[B, D]`, not normalised. */
  encodeImage(pixels: DeviceTensor): Promise<DeviceTensor> {
    return this.#run(imageStages(this.architecture, imageBatchOf(this.architecture, pixels)), pixels);
  }

  /** Pixels `[B, 3, H, W]` → dense features `[B · rows · columns, D]`, each of unit norm, row-major by patch. */
  encodeDense(pixels: DeviceTensor, options: DenseOptions = {}): Promise<DeviceTensor> {
    return this.#run(
      denseStages(this.architecture, imageBatchOf(this.architecture, pixels), options),
      pixels,
    );
  }

  /** Tokens after block `layer` (0: after the stem), `[B · (1 + rows · columns), width]`. */
  tokens(pixels: DeviceTensor, layer: number): Promise<DeviceTensor> {
    return this.#run(trunkStages(this.architecture, imageBatchOf(this.architecture, pixels), layer), pixels);
  }

  /** Attention weights of block `layer` (from 1), `[B, heads, tokens, tokens]`; rows sum to 1. */
  attention(pixels: DeviceTensor, layer: number): Promise<DeviceTensor> {
    const batch = imageBatchOf(this.architecture, pixels);
    const stages = trunkStages(this.architecture, batch, layer - 1);
    return this.#run([...stages, attentionWeightsStage(this.architecture, batch, layer - 1)], pixels);
  }

  /**
   * Embeddings of regions by mask attention (v1), not normalised.
   *
   * @param pixels one image, `[1, 3, H, W]`.
   * @param visible from `visibleUnderBoxes` or `visibleUnderMasks`, `[regions, 1 + rows · columns]`.
   * @returns `[regions, D]`
   */
  async encodeMasked(pixels: DeviceTensor, visible: DeviceTensor): Promise<DeviceTensor> {
    const image = imageBatchOf(this.architecture, pixels);
    if (image.batch !== 1) throw new RangeError(`mask attention takes one image, got ${image.batch}`);
    const regions = visible.shape[0]!;
    let output = await this.tokens(pixels, 0);
    const copy = await this.#programs.get(keyOf(`readers ${regions}`, image), () => ({
      readers: firstReaders(this.architecture, image, regions),
    }));
    let readers = (await copy.run({ input: output })).readers!;
    for (let index = 0; index < this.architecture.layers; index++) {
      const stage = maskAttentionBlock(this.architecture, image, index, regions);
      const program = await this.#programs.get(stage.key, () => stage.outputs);
      const feeds = { ...stageFeeds(stage, output, this.#parameters, {}), readers, [visibleInput]: visible };
      const next = await program.run(feeds);
      disposeAll([output, readers]);
      output = next.output!;
      readers = next.readers!;
    }
    output.dispose();
    const head = imageHead(this.architecture, { ...image, batch: regions });
    const program = await this.#programs.get(head.key, () => ({ output: head.output }));
    const results = await program.run(stageFeeds(head, readers, this.#parameters, {}));
    readers.dispose();
    return results.output!;
  }

  async #run(stages: readonly VisionStage[], pixels: DeviceTensor): Promise<DeviceTensor> {
    const stem = this.#interpolations.feedsFor(imageBatchOf(this.architecture, pixels));
    let current = pixels;
    for (const [index, stage] of stages.entries()) {
      const program = await this.#programs.get(stage.key, () => ({ output: stage.output }));
      const feeds = stageFeeds(stage, current, this.#parameters, index === 0 ? stem : {});
      try {
        const { output } = await program.run(feeds);
        if (current !== pixels) current.dispose();
        current = output!;
      } catch (error) {
        if (current !== pixels) current.dispose();
        throw error;
      }
    }
    return current;
  }
}
