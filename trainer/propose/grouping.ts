import type { Segmentation } from './graphSegmentation.ts';
import type { LabImage } from './lab.ts';

/** A segment, or segments that were joined. Its box is x0, y0, x1, y1 in pixels, the last ones exclusive. */
export interface Region {
  box: [number, number, number, number];
  pixels: number;
}

const colourBins = 25;
const orientations = 8;
const histogramLength = 3 * colourBins + orientations;

interface Growing extends Region {
  /** Shares of colours, by channel, and of gradient directions; each sums to 1. */
  histogram: Float32Array;
  neighbours: Set<number>;
}

/**
 * Hierarchical grouping of selective search (Uijlings et al., IJCV 2013): again and again the two neighbours that are
 * most alike are joined, until one region is left.
 *
 * @returns All segments and everything they were joined to, in the order in which they came to be.
 */
export function groupRegions(image: LabImage, segmentation: Segmentation): Region[] {
  const regions = initialRegions(image, segmentation);
  const imagePixels = image.width * image.height;
  const pairs = new PairQueue();
  const offer = (a: number, b: number): void =>
    pairs.push(a, b, likenessOf(regions[a]!, regions[b]!, imagePixels));
  regions.forEach(({ neighbours }, index) => {
    for (const other of neighbours) if (other > index) offer(index, other);
  });
  const gone = new Set<number>();
  for (let pair = pairs.pop(); pair; pair = pairs.pop()) {
    const [a, b] = pair;
    if (gone.has(a) || gone.has(b)) continue;
    gone.add(a).add(b);
    const joined = join(regions[a]!, regions[b]!);
    const index = regions.push(joined) - 1;
    for (const other of joined.neighbours) {
      if (gone.has(other)) {
        joined.neighbours.delete(other);
        continue;
      }
      regions[other]!.neighbours.add(index);
      offer(other, index);
    }
  }
  return regions;
}

function initialRegions({ width, height, data }: LabImage, { labels, count }: Segmentation): Growing[] {
  const regions = Array.from(
    { length: count },
    (): Growing => ({
      box: [width, height, 0, 0],
      pixels: 0,
      histogram: new Float32Array(histogramLength),
      neighbours: new Set(),
    }),
  );
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const pixel = y * width + x;
      const label = labels[pixel]!;
      const region = regions[label]!;
      region.pixels++;
      const { box } = region;
      box[0] = Math.min(box[0], x);
      box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x + 1);
      box[3] = Math.max(box[3], y + 1);
      addColour(region.histogram, data, pixel * 3);
      addTexture(region.histogram, data, x, y, width, height);
      for (const other of [
        x + 1 < width ? labels[pixel + 1]! : label,
        y + 1 < height ? labels[pixel + width]! : label,
      ])
        if (other !== label) {
          region.neighbours.add(other);
          regions[other]!.neighbours.add(label);
        }
    }
  for (const { histogram } of regions) normalise(histogram);
  return regions;
}

function addColour(histogram: Float32Array, data: Float32Array, at: number): void {
  const [lightness, a, b] = [data[at]! / 100, (data[at + 1]! + 100) / 200, (data[at + 2]! + 100) / 200];
  [lightness, a, b].forEach((share, channel) => {
    const bin = Math.min(Math.max(Math.floor(share * colourBins), 0), colourBins - 1);
    histogram[channel * colourBins + bin]! += 1;
  });
}

/** The direction of the lightness gradient, weighted by its strength. */
function addTexture(
  histogram: Float32Array,
  data: Float32Array,
  x: number,
  y: number,
  width: number,
  height: number,
): void {
  const at = (column: number, row: number): number => data[(row * width + column) * 3]!;
  const dx = at(Math.min(x + 1, width - 1), y) - at(Math.max(x - 1, 0), y);
  const dy = at(x, Math.min(y + 1, height - 1)) - at(x, Math.max(y - 1, 0));
  const turn = (Math.atan2(dy, dx) / (2 * Math.PI) + 1) % 1;
  const bin = Math.min(Math.floor(turn * orientations), orientations - 1);
  histogram[3 * colourBins + bin]! += Math.hypot(dx, dy);
}

function normalise(histogram: Float32Array): void {
  for (const part of [histogram.subarray(0, 3 * colourBins), histogram.subarray(3 * colourBins)]) {
    const sum = part.reduce((total, value) => total + value, 0);
    if (sum > 0)
      part.forEach((value, index) => {
        part[index] = value / sum;
      });
  }
}

/** Alike in colour and texture, small, and filling the box around both (section 3.2); each part is 0 … 1. */
function likenessOf(a: Growing, b: Growing, imagePixels: number): number {
  const [x0, y0, x1, y1] = unionBox(a, b);
  const pixels = a.pixels + b.pixels;
  const small = 1 - pixels / imagePixels;
  const filling = 1 - ((x1 - x0) * (y1 - y0) - pixels) / imagePixels;
  return overlap(a.histogram, b.histogram) + small + filling;
}

/** Intersection of both histograms, of colours and of gradients. */
function overlap(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += Math.min(a[index]!, b[index]!);
  return sum;
}

function unionBox(a: Region, b: Region): Region['box'] {
  return [
    Math.min(a.box[0], b.box[0]),
    Math.min(a.box[1], b.box[1]),
    Math.max(a.box[2], b.box[2]),
    Math.max(a.box[3], b.box[3]),
  ];
}

function join(a: Growing, b: Growing): Growing {
  const pixels = a.pixels + b.pixels;
  return {
    box: unionBox(a, b),
    pixels,
    histogram: a.histogram.map((value, bin) => (value * a.pixels + b.histogram[bin]! * b.pixels) / pixels),
    neighbours: new Set([...a.neighbours, ...b.neighbours]),
  };
}

/** Pairs by likeness, the most alike first; of equals the one that was offered first. A binary heap. */
class PairQueue {
  readonly #heap: { a: number; b: number; likeness: number; turn: number }[] = [];
  #turn = 0;

  push(a: number, b: number, likeness: number): void {
    const heap = this.#heap;
    heap.push({ a, b, likeness, turn: this.#turn++ });
    for (let child = heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (!this.#before(child, parent)) return;
      this.#swap(child, parent);
      child = parent;
    }
  }

  pop(): [number, number] | null {
    const heap = this.#heap;
    const first = heap[0];
    if (!first) return null;
    const last = heap.pop()!;
    if (heap.length > 0) heap[0] = last;
    for (let parent = 0; ; ) {
      let best = parent;
      for (const child of [2 * parent + 1, 2 * parent + 2])
        if (child < heap.length && this.#before(child, best)) best = child;
      if (best === parent) return [first.a, first.b];
      this.#swap(parent, best);
      parent = best;
    }
  }

  #before(a: number, b: number): boolean {
    const [left, right] = [this.#heap[a]!, this.#heap[b]!];
    return left.likeness > right.likeness || (left.likeness === right.likeness && left.turn < right.turn);
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    [heap[a], heap[b]] = [heap[b]!, heap[a]!];
  }
}
