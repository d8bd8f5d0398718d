import { type DeviceTensor, type Engine, readFloats } from '../engines/engine.ts';
import { cropImage, fitLongestSide, type PixelBox, studentImage, teacherImage } from '../images/geometry.ts';
import { type ImageNormalisation, normaliseInto } from '../images/normalise.ts';
import type { Raster } from '../images/raster.ts';
import { cellsAlong } from '../models/architecture.ts';
import { visibleUnderBoxes } from '../models/maskAttention.ts';
import type { DenseOptions } from '../models/visionStages.ts';
import type { VisionTower } from '../models/visionTower.ts';
import { pixelsToCells, pixelsToPaddedFractions, roiAlignRows } from './roiPooling.ts';

/** Dense features of one image in student geometry. */
export interface DenseFeatures {
  /** [side · side, D], unit norm, row-major. */
  features: Float32Array;
  /** Patches along a side of the padded square. */
  side: number;
  /** Rows and columns that hold image rather than padding. */
  valid: { rows: number; columns: number };
}

/** Regions whose readers travel through the tower together. */
const readersAtOnce = 256;

/** Reads dense features, image embeddings and pooled boxes of decoded images from a tower. */
export class ImageFeatures {
  readonly #engine: Engine;
  readonly #tower: VisionTower;
  readonly #normalisation: ImageNormalisation;

  constructor(engine: Engine, tower: VisionTower, normalisation: ImageNormalisation) {
    this.#engine = engine;
    this.#tower = tower;
    this.#normalisation = normalisation;
  }

  get embeddingDimension(): number {
    return this.#tower.architecture.embeddingDimension;
  }

  /**
   * Longest side to `size` pixels, padded right and below.
   *
   * @param options Read-out and layer; CLIPSelf's read-out of the last block without them.
   */
  async dense(image: Raster, size: number, options: DenseOptions = {}): Promise<DenseFeatures> {
    const features = await this.#fromStudentImage(image, size, pixels =>
      this.#tower.encodeDense(pixels, options),
    );
    return { features, side: this.#side(size), valid: this.validGrid(image, size) };
  }

  /** Tokens after block `layer` in student geometry, [1 + side · side, width]; the class token comes first. */
  tokens(image: Raster, size: number, layer: number): Promise<Float32Array> {
    return this.#fromStudentImage(image, size, pixels => this.#tower.tokens(pixels, layer));
  }

  /**
   * Attention weights of the blocks 1 … `layers` in student geometry, given one by one as [heads, tokens, tokens]; rows
   * sum to 1.
   */
  async attentionByLayer(
    image: Raster,
    size: number,
    layers: number,
    receive: (weights: Float32Array) => void,
  ): Promise<void> {
    const pixels = this.#upload([studentImage(image, size)], size);
    try {
      await this.#tower.attentionByLayer(pixels, layers, async weights => {
        receive(await readFloats(this.#engine, weights));
      });
    } finally {
      pixels.dispose();
    }
  }

  /** Rows and columns of the student's patch grid that hold image rather than padding. */
  validGrid(image: Raster, size: number): { rows: number; columns: number } {
    const { patchSize } = this.#tower.architecture;
    const { width, height } = fitLongestSide(image.width, image.height, size);
    // Of an image cut in its last patch, that patch is not in the grid.
    const touched = (pixels: number): number => Math.min(Math.ceil(pixels / patchSize), this.#side(size));
    return { rows: touched(height), columns: touched(width) };
  }

  #side(size: number): number {
    return cellsAlong(size, this.#tower.architecture);
  }

  /** Embeddings of image parts as the teacher sees them (letterboxed), [n, D] of unit norm. */
  async crops(image: Raster, boxes: readonly PixelBox[]): Promise<Float32Array> {
    const { imageSize } = this.#tower.architecture;
    const pixels = this.#upload(
      boxes.map(box => teacherImage(cropImage(image, box), imageSize)),
      imageSize,
    );
    const embeddings = await this.#read(pixels, () => this.#tower.encodeImage(pixels));
    return normaliseRows(embeddings, this.embeddingDimension);
  }

  /**
   * Dense features of an image that is in student geometry already, [side · side, D] of unit norm.
   *
   * @param pixels [1, 3, size, size], normalised.
   */
  denseOfPixels(pixels: Float32Array, size: number): Promise<Float32Array> {
    const uploaded = this.#engine.upload([1, 3, size, size], pixels);
    return this.#read(uploaded, () => this.#tower.encodeDense(uploaded));
  }

  /**
   * Embeddings of crops that are in teacher geometry already, [count, D] of unit norm.
   *
   * @param pixels [count, 3, imageSize, imageSize], normalised.
   */
  async embeddingsOfPixels(pixels: Float32Array, count: number): Promise<Float32Array> {
    const { imageSize } = this.#tower.architecture;
    const uploaded = this.#engine.upload([count, 3, imageSize, imageSize], pixels);
    const embeddings = await this.#read(uploaded, () => this.#tower.encodeImage(uploaded));
    return normaliseRows(embeddings, this.embeddingDimension);
  }

  /** Dense features pooled over boxes by RoIAlign, [n, D] of unit norm; a box outside the image gives zeros. */
  pool(dense: DenseFeatures, image: Raster, size: number, boxes: readonly PixelBox[]): Float32Array {
    return poolBoxes(dense, image, size, boxes);
  }

  /**
   * Regions by mask attention (v1) in student geometry, [n, D] of unit norm. What lies outside the image is cut off.
   *
   * @throws when the tower is no CLIP ViT.
   */
  async maskAttention(image: Raster, size: number, boxes: readonly PixelBox[]): Promise<Float32Array> {
    const side = this.#side(size);
    const { scale } = fitLongestSide(image.width, image.height, size);
    const grid = { batch: 1, height: size, width: size, rows: side, columns: side };
    const result = new Float32Array(boxes.length * this.embeddingDimension);
    for (let start = 0; start < boxes.length; start += readersAtOnce) {
      const some = boxes.slice(start, start + readersAtOnce).flatMap(box => insideImage(box, image));
      const fractions = pixelsToPaddedFractions(Float32Array.from(some), scale, size);
      const embedded = await this.#fromStudentImage(image, size, async pixels => {
        const shape = [some.length / 4, 1 + side * side];
        const visible = this.#engine.upload(shape, visibleUnderBoxes(fractions, grid));
        try {
          return await this.#tower.encodeMasked(pixels, visible);
        } finally {
          visible.dispose();
        }
      });
      result.set(embedded, start * this.embeddingDimension);
    }
    return normaliseRows(result, this.embeddingDimension);
  }

  /** Runs part of the tower on the image in student geometry and reads the result. */
  async #fromStudentImage(
    image: Raster,
    size: number,
    run: (pixels: DeviceTensor) => Promise<DeviceTensor>,
  ): Promise<Float32Array> {
    const pixels = this.#upload([studentImage(image, size)], size);
    return this.#read(pixels, () => run(pixels));
  }

  /** Reads what a run gives, and disposes of it and of its input. */
  async #read(input: DeviceTensor, run: () => Promise<DeviceTensor>): Promise<Float32Array> {
    try {
      const result = await run();
      try {
        return await readFloats(this.#engine, result);
      } finally {
        result.dispose();
      }
    } finally {
      input.dispose();
    }
  }

  #upload(images: readonly Uint8Array[], side: number) {
    const values = new Float32Array(images.length * 3 * side * side);
    images.forEach((image, index) => {
      normaliseInto(image, this.#normalisation, values, index * 3 * side * side);
    });
    return this.#engine.upload([images.length, 3, side, side], values);
  }
}

function insideImage([x0, y0, x1, y1]: PixelBox, { width, height }: Raster): PixelBox {
  const inside = (value: number, most: number): number => Math.min(Math.max(value, 0), most);
  return [inside(x0, width), inside(y0, height), inside(x1, width), inside(y1, height)];
}

/**
 * Dense features in student geometry pooled over boxes by RoIAlign.
 *
 * @param image Size of the image in pixels, which the boxes count in.
 * @returns [n, D] of unit norm; a box outside the image gives zeros.
 */
export function poolBoxes(
  { features, side }: Pick<DenseFeatures, 'features' | 'side'>,
  image: Pick<Raster, 'width' | 'height'>,
  size: number,
  boxes: readonly PixelBox[],
): Float32Array {
  const map = { height: side, width: side };
  const { scale } = fitLongestSide(image.width, image.height, size);
  const rows = roiAlignRows(pixelsToCells(Float32Array.from(boxes.flat()), scale, size, map), map);
  return poolRows(rows, features, side * side);
}

/**
 * Rows of a pooling matrix times features; most weights are zero.
 *
 * @param rows [n, cells].
 * @param features [cells, D].
 * @returns [n, D] of unit norm; rows of zeros give zeros.
 */
export function poolRows(rows: Float32Array, features: Float32Array, cells: number): Float32Array {
  const width = features.length / cells;
  const pooled = new Float32Array((rows.length / cells) * width);
  for (let row = 0; row < rows.length / cells; row++)
    for (let cell = 0; cell < cells; cell++) {
      const weight = rows[row * cells + cell]!;
      if (weight === 0) continue;
      for (let channel = 0; channel < width; channel++)
        pooled[row * width + channel]! += weight * features[cell * width + channel]!;
    }
  return normaliseRows(pooled, width);
}

/** Rows divided by max(‖row‖, 1e-12), in place. */
export function normaliseRows(rows: Float32Array, width: number): Float32Array {
  for (let start = 0; start < rows.length; start += width) {
    let squared = 0;
    for (let index = start; index < start + width; index++) squared += rows[index]! ** 2;
    const norm = Math.max(Math.sqrt(squared), 1e-12);
    for (let index = start; index < start + width; index++) rows[index]! /= norm;
  }
  return rows;
}
