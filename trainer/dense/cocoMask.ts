/**
 * Segmentations of COCO annotations as masks of pixels: polygons, and run-length encodings in COCO's own order (column
 * by column, background first), plain or as its compressed text.
 */

/** Lists of x0, y0, x1, y1, … in pixels; an object of several parts has several. */
export type CocoPolygons = readonly (readonly number[])[];

export interface CocoRunLengths {
  /** Height and width in pixels. */
  size: readonly [number, number];
  counts: string | readonly number[];
}

export type CocoSegmentation = CocoPolygons | CocoRunLengths;

/** One byte per pixel, row-major, 1 inside. */
export interface Mask {
  width: number;
  height: number;
  pixels: Uint8Array;
}

/** Larger masks are not decoded: one byte per pixel, 128 MiB. */
const MAXIMUM_MASK_PIXELS = 1 << 27;
/** Numbers of all polygons of one object; the largest of COCO have a few thousand. */
const maximumCoordinates = 20_000;

export const isRunLengths = (segmentation: CocoSegmentation): segmentation is CocoRunLengths =>
  !Array.isArray(segmentation);

/**
 * Checks the shape of a segmentation without decoding it, for values that come from a file or a message.
 *
 * @throws Error that says what is wrong with it.
 */
export function parseSegmentation(value: unknown): CocoSegmentation {
  if (Array.isArray(value)) return parsePolygons(value);
  if (typeof value !== 'object' || value === null)
    throw new Error('the segmentation is neither polygons nor run lengths');
  const { size, counts } = value as { size?: unknown; counts?: unknown };
  if (!Array.isArray(size) || size.length !== 2 || !size.every(side => Number.isInteger(side) && side > 0))
    throw new Error('“size” of the segmentation must be height and width');
  const [height, width] = size as [number, number];
  if (height * width > MAXIMUM_MASK_PIXELS)
    throw new Error(`a mask of ${width} × ${height} pixels is too large`);
  if (typeof counts !== 'string' && !(Array.isArray(counts) && counts.every(isCount)))
    throw new Error('“counts” of the segmentation must be text or a list of whole numbers');
  return { size: [height, width], counts };
}

const isCount = (count: unknown): count is number =>
  typeof count === 'number' && Number.isSafeInteger(count) && count >= 0;

function parsePolygons(value: readonly unknown[]): CocoPolygons {
  if (value.length === 0) throw new Error('the segmentation has no polygon');
  let coordinates = 0;
  for (const polygon of value) {
    if (!Array.isArray(polygon) || polygon.length < 6 || polygon.length % 2 !== 0)
      throw new Error('a polygon must be a list of at least three pairs of coordinates');
    if (!polygon.every(Number.isFinite)) throw new Error('the coordinates of a polygon must be numbers');
    coordinates += polygon.length;
  }
  if (coordinates > maximumCoordinates)
    throw new Error(`a segmentation of ${coordinates} coordinates is too large`);
  return value as CocoPolygons;
}

/**
 * The mask of a segmentation on an image.
 *
 * @param width Of the image in pixels, as is `height`.
 * @throws Error when run lengths do not fill exactly this image.
 */
export function decodeMask(segmentation: CocoSegmentation, width: number, height: number): Mask {
  if (width * height > MAXIMUM_MASK_PIXELS)
    throw new Error(`a mask of ${width} × ${height} pixels is too large`);
  if (!isRunLengths(segmentation)) return maskOfPolygons(segmentation, width, height);
  const [rows, columns] = segmentation.size;
  if (rows !== height || columns !== width)
    throw new Error(
      `the mask has ${columns} × ${rows} pixels and the image ${width} × ${height}: it belongs to another image`,
    );
  return maskOfRunLengths(segmentation);
}

/**
 * Run lengths of COCO's compressed text: numbers in groups of five bits from the low end, a sixth bit says that more
 * follow; from the fourth number on, differences to the number two before (`rleFrString` of the COCO API).
 *
 * @throws Error when the text has other characters or ends within a number.
 */
export function expandCounts(text: string): number[] {
  const counts: number[] = [];
  let place = 0;
  while (place < text.length) {
    let value = 0;
    let scale = 1;
    for (;;) {
      const code = text.charCodeAt(place++) - 48;
      if (!(code >= 0 && code < 64) || scale > 2 ** 35)
        throw new Error('the compressed “counts” of the segmentation are damaged');
      value += (code & 31) * scale;
      scale *= 32;
      if ((code & 32) !== 0) continue;
      if ((code & 16) !== 0) value -= scale;
      break;
    }
    counts.push(counts.length > 2 ? value + counts[counts.length - 2]! : value);
  }
  return counts;
}

/** @throws Error when the runs do not add up to the size. */
export function maskOfRunLengths({ size: [height, width], counts }: CocoRunLengths): Mask {
  const runs = typeof counts === 'string' ? expandCounts(counts) : counts;
  const pixels = new Uint8Array(width * height);
  let place = 0;
  runs.forEach((run, index) => {
    if (!(run >= 0 && place + run <= pixels.length)) throw wrongSum(width, height);
    if (index % 2 === 1)
      for (let pixel = place; pixel < place + run; pixel++)
        pixels[(pixel % height) * width + Math.floor(pixel / height)] = 1;
    place += run;
  });
  if (place !== pixels.length) throw wrongSum(width, height);
  return { width, height, pixels };
}

const wrongSum = (width: number, height: number): Error =>
  new Error(`the “counts” of the segmentation do not add up to its ${width} × ${height} pixels`);

/** Pixels whose middle lies inside one of the polygons, each by the even-odd rule. */
export function maskOfPolygons(polygons: CocoPolygons, width: number, height: number): Mask {
  const pixels = new Uint8Array(width * height);
  for (const polygon of polygons)
    crossingsOf(polygon, height).forEach((crossings, y) => {
      crossings.sort((a, b) => a - b);
      for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
        // Middles x + ½ from the first crossing on, up to the second.
        const from = Math.max(Math.ceil(crossings[pair]! - 0.5), 0);
        const to = Math.min(Math.ceil(crossings[pair + 1]! - 0.5), width);
        if (to > from) pixels.fill(1, y * width + from, y * width + to);
      }
    });
  return { width, height, pixels };
}

/** For each row of pixels, where its middle line meets the edges; half-open, so that a corner counts once. */
function crossingsOf(polygon: readonly number[], height: number): Map<number, number[]> {
  const rows = new Map<number, number[]>();
  for (let corner = 0; corner < polygon.length; corner += 2) {
    const next = (corner + 2) % polygon.length;
    const [x0, y0, x1, y1] = [polygon[corner]!, polygon[corner + 1]!, polygon[next]!, polygon[next + 1]!];
    const first = Math.max(Math.ceil(Math.min(y0, y1) - 0.5), 0);
    const end = Math.min(Math.ceil(Math.max(y0, y1) - 0.5), height);
    for (let y = first; y < end; y++) {
      const x = x0 + ((y + 0.5 - y0) / (y1 - y0)) * (x1 - x0);
      const row = rows.get(y);
      if (row) row.push(x);
      else rows.set(y, [x]);
    }
  }
  return rows;
}

/** The smallest box around what is inside, [x0, y0, x1, y1]; null when nothing is. */
export function maskBounds({ width, height, pixels }: Mask): [number, number, number, number] | null {
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (pixels[y * width + x] === 0) continue;
      x0 = Math.min(x0, x);
      x1 = Math.max(x1, x + 1);
      y0 = Math.min(y0, y);
      y1 = y + 1;
    }
  return x1 > x0 ? [x0, y0, x1, y1] : null;
}

/** Edges between pixels inside and outside as straight lines [x0, y0, x1, y1], …, in pixels. */
export function maskOutline({ width, height, pixels }: Mask): number[] {
  const inside = (x: number, y: number): boolean =>
    x >= 0 && y >= 0 && x < width && y < height && pixels[y * width + x] !== 0;
  const lines: number[] = [];
  /** Runs along one line between pixels, where one side is inside and the other is not. */
  const trace = (length: number, edge: (at: number) => boolean, add: (from: number, to: number) => void) => {
    for (let from = 0; from < length; from++) {
      if (!edge(from)) continue;
      let to = from + 1;
      while (to < length && edge(to)) to++;
      add(from, to);
      from = to;
    }
  };
  for (let y = 0; y <= height; y++)
    trace(
      width,
      x => inside(x, y - 1) !== inside(x, y),
      (from, to) => lines.push(from, y, to, y),
    );
  for (let x = 0; x <= width; x++)
    trace(
      height,
      y => inside(x - 1, y) !== inside(x, y),
      (from, to) => lines.push(x, from, x, to),
    );
  return lines;
}
