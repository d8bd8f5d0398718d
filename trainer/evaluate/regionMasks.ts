/** Masks of regions: from COCO's images of segment ids or its encodings, down to the cells of a feature map. */
import { type CocoSegmentation, decodeMask } from '../dense/cocoMask.ts';
import { decodeImage } from '../images/decode.ts';
import { fitLongestSide } from '../images/geometry.ts';
import { ImageError } from '../images/imageError.ts';

/** A segment id for every pixel, row-major; a mask is where its own id stands. */
export interface SegmentMap {
  width: number;
  height: number;
  ids: Uint32Array | Uint16Array | Uint8Array;
}

/** What a segment covers. */
export interface SegmentExtent {
  /** Pixels. */
  area: number;
  /** Its first and last columns and rows, both inclusive. */
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/**
 * Reads a PNG of segment ids: R + 256 G + 256² B.
 *
 * @throws ImageError when it is no RGB image.
 */
export async function readSegmentMap(file: string): Promise<SegmentMap> {
  const { width, height, mode, data } = await decodeImage(file);
  if (mode !== 'RGB') throw new ImageError(file, `an image of segment ids is RGB; this one is ${mode}`);
  const ids = new Uint32Array(width * height);
  for (let pixel = 0, source = 0; pixel < ids.length; pixel++, source += 3)
    ids[pixel] = data[source]! + 256 * data[source + 1]! + 65536 * data[source + 2]!;
  return { width, height, ids };
}

/** A COCO segmentation as a map in which its pixels are 1. */
export function segmentMapOf(segmentation: CocoSegmentation, width: number, height: number): SegmentMap {
  const { pixels } = decodeMask(segmentation, width, height);
  return { width, height, ids: pixels };
}

/** What every segment covers, by id, in one pass over the map. */
export function segmentExtents({ width, height, ids }: SegmentMap): Map<number, SegmentExtent> {
  const extents = new Map<number, SegmentExtent>();
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; ) {
      const id = ids[y * width + x]!;
      const from = x;
      while (x < width && ids[y * width + x] === id) x++;
      const known = extents.get(id);
      if (!known) {
        extents.set(id, { area: x - from, left: from, right: x - 1, top: y, bottom: y });
        continue;
      }
      known.area += x - from;
      known.left = Math.min(known.left, from);
      known.right = Math.max(known.right, x - 1);
      known.bottom = y;
    }
  return extents;
}

/** Four source pixels of each target pixel along an axis, and their weights: [targets, 4]. */
interface Taps {
  sources: Int32Array;
  weights: Float32Array;
}

const f32 = Math.fround;
/** PyTorch's bicubic; PIL's has −0.5. */
const a = -0.75;

/** Cubic convolution within one pixel; every operation rounded to float32 as the reference does it. */
function nearWeight(x: number): number {
  return f32(f32(f32(f32(f32(f32(a + 2) * x) - f32(a + 3)) * x) * x) + 1);
}

/** Cubic convolution between one and two pixels. */
function farWeight(x: number): number {
  return f32(f32(f32(f32(f32(f32(a * x) - f32(5 * a)) * x) + f32(8 * a)) * x) - f32(4 * a));
}

function bicubicTaps(source: number, target: number): Taps {
  const sources = new Int32Array(target * 4);
  const weights = new Float32Array(target * 4);
  const scale = f32(source / target);
  for (let index = 0; index < target; index++) {
    const position = f32(f32(scale * f32(index + 0.5)) - 0.5);
    const whole = Math.floor(position);
    const share = f32(position - whole);
    const rest = f32(1 - share);
    weights.set(
      [farWeight(f32(share + 1)), nearWeight(share), nearWeight(rest), farWeight(f32(rest + 1))],
      index * 4,
    );
    for (let tap = 0; tap < 4; tap++)
      sources[index * 4 + tap] = Math.min(Math.max(whole - 1 + tap, 0), source - 1);
  }
  return { sources, weights };
}

/** Brings masks of one image size down to the feature map in student geometry; made once for all its regions. */
export class MaskResampler {
  readonly #width: number;
  readonly #side: number;
  readonly #xs: Taps;
  readonly #ys: Taps;

  /**
   * @param width Of the masks in pixels, as is `height`.
   * @param side Cells along a side of the padded, square map.
   */
  constructor(width: number, height: number, side: number) {
    const fitted = fitLongestSide(width, height, side);
    this.#width = width;
    this.#side = side;
    // A very thin image still has a cell.
    this.#xs = bicubicTaps(width, Math.max(fitted.width, 1));
    this.#ys = bicubicTaps(height, Math.max(fitted.height, 1));
  }

  /**
   * The published rule: bicubic without antialiasing on a mask of zeros and ones, then above 0. Sums follow the
   * reference's order in float32, for their sign decides.
   *
   * @returns [side · side], 1 inside.
   */
  resample({ ids }: SegmentMap, id: number): Uint8Array {
    const target = new Uint8Array(this.#side * this.#side);
    const { sources: xs, weights: xWeights } = this.#xs;
    const { sources: ys, weights: yWeights } = this.#ys;
    for (let row = 0; row < ys.length; row += 4)
      for (let column = 0; column < xs.length; column += 4) {
        let sum = 0;
        for (let tap = 0; tap < 4; tap++) {
          const start = ys[row + tap]! * this.#width;
          let along = 0;
          for (let across = 0; across < 4; across++)
            if (ids[start + xs[column + across]!] === id) along = f32(along + xWeights[column + across]!);
          sum = f32(sum + f32(along * yWeights[row + tap]!));
        }
        if (sum > 0) target[(row / 4) * this.#side + column / 4] = 1;
      }
    return target;
  }
}
