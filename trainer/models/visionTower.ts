import { type DeviceTensor, disposeAll, type Engine, type Feeds } from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import {
  type ClipVitArchitecture,
  describeArchitecture,
  gridSide,
  type VisionArchitecture,
} from './architecture.ts';
import type { FrozenPrograms } from './frozenPrograms.ts';
import { firstReaders, hasMaskAttention, maskAttentionBlock, visibleInput } from './maskAttention.ts';
import { interpolationMatrix } from './positionInterpolation.ts';
import { rotaryTables } from './rotaryPositions.ts';
import { type Parameters, stageFeeds } from './stageFeeds.ts';
import { type PlacedStage, type Precision, placeStages } from './stagePrecision.ts';
import { imageHead, interpolationInput, needsInterpolation } from './stemAndHead.ts';
import { type ImageBatch, keyOf, type VisionStage } from './visionStage.ts';
import { attentionStage, type DenseOptions, denseStages, imageStages, trunkStages } from './visionStages.ts';

/**
 * Tables of an engine that depend on the patch grid alone, made once and fed to every stage that needs them: matrices
 * that interpolate positions, and EVA-02's rotary tables.
 */
export class PositionInterpolations {
  readonly #engine: Engine;
  readonly #architecture: VisionArchitecture;
  readonly #tables = new Map<string, Feeds>();

  constructor(engine: Engine, architecture: VisionArchitecture) {
    this.#engine = engine;
    this.#architecture = architecture;
  }

  /** What the stages for this grid take beside their parameters. */
  feedsFor(batch: ImageBatch): Feeds {
    const key = `${batch.rows}x${batch.columns}`;
    let tables = this.#tables.get(key);
    if (!tables) {
      tables = this.#upload(batch);
      this.#tables.set(key, tables);
    }
    return tables;
  }

  /** The images of a pixel tensor `[B, 3, H, W]`, for this engine; throws as `imageBatchOf` does. */
  batchOf(pixels: Pick<DeviceTensor, 'shape'>): ImageBatch {
    return { ...imageBatchOf(this.#architecture, pixels), attentionPieceBytes: this.#engine.pieceBytes };
  }

  /** The same for a pass without gradients. */
  forwardBatchOf(pixels: Pick<DeviceTensor, 'shape'>): ImageBatch {
    return { ...this.batchOf(pixels), hiddenPieceBytes: this.#engine.pieceBytes };
  }

  dispose(): void {
    for (const tables of this.#tables.values()) disposeAll(tables);
    this.#tables.clear();
  }

  #upload(batch: ImageBatch): Feeds {
    const feeds: Record<string, DeviceTensor> = {};
    if (needsInterpolation(this.#architecture, batch)) {
      const side = gridSide(this.#architecture);
      const grid = { height: batch.rows, width: batch.columns };
      const data = interpolationMatrix({ height: side, width: side }, grid);
      feeds[interpolationInput] = this.#engine.upload([batch.rows * batch.columns, side * side], data);
    }
    if (this.#architecture.kind === 'eva02')
      for (const [name, { shape, data }] of Object.entries(rotaryTables(this.#architecture, batch.rows)))
        feeds[name] = this.#engine.upload(shape, data);
    return feeds;
  }
}

/**
 * The grid of a pixel tensor `[B, 3, H, W]`: whole patches; pixels beyond the last one are not seen, as the
 * convolution leaves them out. Throws when there is no whole patch, when a grid is not square for EVA-02, whose rotary
 * positions know square grids only, or when a ResNet's sides are not multiples of its stride.
 */
export function imageBatchOf(
  architecture: VisionArchitecture,
  pixels: Pick<DeviceTensor, 'shape'>,
): ImageBatch {
  const [batch, channels, height, width] = pixels.shape as [number, number, number, number];
  const { kind, patchSize } = architecture;
  const [rows, columns] = [Math.floor(height / patchSize), Math.floor(width / patchSize)];
  const shown = `images of shape [${pixels.shape.join(', ')}]`;
  if (pixels.shape.length !== 4 || channels !== 3 || rows < 1 || columns < 1)
    throw new RangeError(
      `${shown} are not [batch, 3, height, width] of at least one patch (${patchSize} px)`,
    );
  if (kind === 'eva02' && rows !== columns)
    throw new RangeError(`${shown}: EVA-02 takes square images only; pad them to a square`);
  if (kind === 'resnet' && (height % patchSize || width % patchSize))
    throw new RangeError(`${shown}: the sides must be multiples of ${patchSize} for a ResNet`);
  return { batch, height, width, rows, columns };
}

/** A stage on its own, in float32. */
const placed = (stage: VisionStage): PlacedStage => placeStages([stage], 'fp32')[0]!;

/** Runs an image tower without gradients, block by block, so that memory holds one block's activations. */
export class VisionTower {
  readonly architecture: VisionArchitecture;
  readonly #parameters: Parameters;
  readonly #programs: ProgramCache;
  readonly #interpolations: PositionInterpolations;
  readonly #precision: Precision;
  readonly #frozen: FrozenPrograms | null;

  /** @param frozen programs that have these parameters for good, for towers in fp32 that see many images. */
  constructor(
    architecture: VisionArchitecture,
    parameters: Parameters,
    programs: ProgramCache,
    interpolations: PositionInterpolations,
    precision: Precision = 'fp32',
    frozen: FrozenPrograms | null = null,
  ) {
    this.#precision = precision;
    this.#frozen = frozen;
    this.architecture = architecture;
    this.#parameters = parameters;
    this.#programs = programs;
    this.#interpolations = interpolations;
  }

  /** Pixels `[B, 3, H, W]` → image embeddings `[B, D]`, not normalised. */
  encodeImage(pixels: DeviceTensor): Promise<DeviceTensor> {
    return this.#run(imageStages(this.architecture, this.#interpolations.forwardBatchOf(pixels)), pixels);
  }

  /** Pixels `[B, 3, H, W]` → dense features `[B · rows · columns, D]`, each of unit norm, row-major by patch. */
  encodeDense(pixels: DeviceTensor, options: DenseOptions = {}): Promise<DeviceTensor> {
    return this.#run(
      denseStages(this.architecture, this.#interpolations.forwardBatchOf(pixels), options),
      pixels,
    );
  }

  /** Tokens after block `layer` (0: after the stem), `[B · (1 + rows · columns), width]`. */
  tokens(pixels: DeviceTensor, layer: number): Promise<DeviceTensor> {
    return this.#run(
      trunkStages(this.architecture, this.#interpolations.forwardBatchOf(pixels), layer),
      pixels,
    );
  }

  /** Attention weights of block `layer` (from 1), `[B, heads, tokens, tokens]`; rows sum to 1. */
  attention(pixels: DeviceTensor, layer: number): Promise<DeviceTensor> {
    const batch = this.#interpolations.forwardBatchOf(pixels);
    const weights = attentionStage(this.architecture, batch, layer - 1);
    return this.#run([...trunkStages(this.architecture, batch, layer - 1), weights], pixels);
  }

  /**
   * Attention weights of the blocks 1 … `layers` in one pass over the image, as in `attention`.
   *
   * @param receive gets them in order; the tensor is disposed of when it is done.
   */
  async attentionByLayer(
    pixels: DeviceTensor,
    layers: number,
    receive: (weights: DeviceTensor) => Promise<void>,
  ): Promise<void> {
    const batch = this.#interpolations.forwardBatchOf(pixels);
    const tables = this.#interpolations.feedsFor(batch);
    let tokens = pixels;
    try {
      // After the stem come the weights of block 1, after block k those of block k + 1.
      for (const [index, stage] of trunkStages(this.architecture, batch, layers - 1).entries()) {
        const next = await this.#runStage(placed(stage), tokens, tables);
        if (tokens !== pixels) tokens.dispose();
        tokens = next;
        const weights = await this.#runStage(
          placed(attentionStage(this.architecture, batch, index)),
          tokens,
          tables,
        );
        try {
          await receive(weights);
        } finally {
          weights.dispose();
        }
      }
    } finally {
      if (tokens !== pixels) tokens.dispose();
    }
  }

  /**
   * Embeddings of regions by mask attention (v1), not normalised.
   *
   * @param pixels one image, `[1, 3, H, W]`.
   * @param visible from `visibleUnderBoxes` or `visibleUnderMasks`, `[regions, 1 + rows · columns]`.
   * @returns `[regions, D]`
   */
  async encodeMasked(pixels: DeviceTensor, visible: DeviceTensor): Promise<DeviceTensor> {
    const architecture = this.#requireMaskAttention();
    const image = this.#interpolations.forwardBatchOf(pixels);
    if (image.batch !== 1) throw new RangeError(`mask attention takes one image, got ${image.batch}`);
    const regions = visible.shape[0]!;
    let output = await this.tokens(pixels, 0);
    const copy = await this.#programs.get(keyOf(`readers ${regions}`, image), () => ({
      readers: firstReaders(architecture, image, regions),
    }));
    let readers = (await copy.run({ input: output })).readers!;
    for (let index = 0; index < architecture.layers; index++) {
      const stage = maskAttentionBlock(architecture, image, index, regions);
      const program = await this.#programs.get(stage.key, () => stage.outputs);
      const feeds = { ...stageFeeds(stage, output, this.#parameters, {}), readers, [visibleInput]: visible };
      const next = await program.run(feeds);
      disposeAll([output, readers]);
      output = next.output!;
      readers = next.readers!;
    }
    output.dispose();
    const head = imageHead(architecture, { ...image, batch: regions });
    const program = await this.#programs.get(head.key, () => ({ output: head.output }));
    const results = await program.run(stageFeeds(head, readers, this.#parameters, {}));
    readers.dispose();
    return results.output!;
  }

  #requireMaskAttention(): ClipVitArchitecture {
    const { architecture } = this;
    if (hasMaskAttention(architecture)) return architecture;
    throw new Error(
      `${describeArchitecture(architecture)} has no mask attention: it is defined for CLIP ViTs`,
    );
  }

  async #run(stages: readonly VisionStage[], pixels: DeviceTensor): Promise<DeviceTensor> {
    const images = this.#interpolations.forwardBatchOf(pixels);
    const tables = this.#interpolations.feedsFor(images);
    let current = pixels;
    for (const placed of placeStages(stages, this.#precision)) {
      try {
        const program = await this.#frozen?.programOf(placed.stage, images);
        const output = program
          ? (await program.run({ ...tables, input: current })).output!
          : await this.#runStage(placed, current, tables);
        if (current !== pixels) current.dispose();
        current = output;
      } catch (error) {
        if (current !== pixels) current.dispose();
        throw error;
      }
    }
    return current;
  }

  async #runStage(
    { stage, placeKey, atPrecision }: PlacedStage,
    input: DeviceTensor,
    tables: Feeds,
  ): Promise<DeviceTensor> {
    const program = await this.#programs.get(placeKey, () => atPrecision({ output: stage.output }));
    const { output } = await program.run(stageFeeds(stage, input, this.#parameters, tables));
    return output!;
  }
}
