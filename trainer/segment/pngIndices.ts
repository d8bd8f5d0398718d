/**
 * The values of label images as they are stored: palette positions and grey levels of PNG files. Image libraries look
 * palettes up and scale grey, which loses what the values stand for.
 */
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { inflate } from 'node:zlib';
import { FileError, naming } from '../checkpoints/fileError.ts';

const inflated = promisify(inflate);

export interface IndexImage {
  width: number;
  height: number;
  /** [height, width]: palette positions, or grey levels up to 65535. */
  values: Uint16Array;
}

const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
/** A label image of this many pixels takes 128 MiB. */
const maximumPixels = 1 << 26;
const maximumFileBytes = 2 ** 28;
const advice = 'Label images are PNG files with a palette or in grey, one value a pixel, not interlaced';

interface Header {
  width: number;
  height: number;
  /** Bits a pixel. */
  depth: number;
}

/**
 * Reads the values of a PNG with a palette or in grey (1, 2, 4, 8 or 16 bits). Memory is bounded by what its header says,
 * which is checked first.
 *
 * @throws FileError naming what is wrong with it.
 */
export async function readPngIndices(file: string): Promise<IndexImage> {
  const bytes = await readWhole(file);
  const refuse = (reason: string): never => {
    throw new FileError(file, reason, advice);
  };
  if (!bytes.subarray(0, 8).equals(signature)) refuse('it is no PNG file');
  const parts: Buffer[] = [];
  let header: Header | null = null;
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const kind = bytes.toString('latin1', at + 4, at + 8);
    if (at + 12 + length > bytes.length) refuse('it ends too early');
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (kind === 'IHDR') header = headerOf(data, refuse);
    else if (kind === 'IDAT') parts.push(data);
    else if (kind === 'IEND') break;
    at += 12 + length;
  }
  if (header === null) return refuse('it has no header');
  const { width, height, depth } = header;
  const rowBytes = Math.ceil((width * depth) / 8);
  const size = (rowBytes + 1) * height;
  const rows = await inflated(Buffer.concat(parts), { maxOutputLength: size }).catch(() => null);
  if (rows === null || rows.length !== size) return refuse('its pixels are damaged');
  return { width, height, values: unpack(unfiltered(rows, rowBytes, header, refuse), rowBytes, header) };
}

function readWhole(file: string): Promise<Buffer> {
  return naming(file, 'read', async () => {
    const handle = await open(file, 'r');
    try {
      const status = await handle.stat();
      if (!status.isFile() || status.size > maximumFileBytes)
        throw new FileError(file, 'it is no file of at most 256 MiB', advice);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  });
}

function headerOf(data: Buffer, refuse: (reason: string) => never): Header {
  if (data.length !== 13) refuse('its header is damaged');
  const [width, height] = [data.readUInt32BE(0), data.readUInt32BE(4)];
  const [depth, colour, interlace] = [data[8]!, data[9]!, data[12]!];
  if (width === 0 || height === 0 || width * height > maximumPixels)
    refuse(`it would have ${width} × ${height} pixels`);
  if (colour !== 0 && colour !== 3) refuse('it has colours instead of a palette or grey');
  if (![1, 2, 4, 8, 16].includes(depth) || (colour === 3 && depth === 16))
    refuse(`it has ${depth} bits a pixel`);
  if (interlace !== 0) refuse('it is interlaced');
  return { width, height, depth };
}

/** Undoes the filters of the rows (PNG specification, section 9), in place; rows begin with their filter. */
function unfiltered(
  rows: Buffer,
  rowBytes: number,
  { height, depth }: Header,
  refuse: (reason: string) => never,
): Buffer {
  const step = Math.max(depth >> 3, 1);
  const stride = rowBytes + 1;
  for (let row = 0; row < height; row++) {
    const start = row * stride + 1;
    const filter = rows[start - 1]!;
    if (filter > 4) refuse('its pixels are damaged');
    for (let at = 0; filter > 0 && at < rowBytes; at++) {
      const left = at < step ? 0 : rows[start + at - step]!;
      const above = row === 0 ? 0 : rows[start + at - stride]!;
      const corner = row === 0 || at < step ? 0 : rows[start + at - stride - step]!;
      rows[start + at] = (rows[start + at]! + predicted(filter, left, above, corner)) & 255;
    }
  }
  return rows;
}

function predicted(filter: number, left: number, above: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  const estimate = left + above - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - above), Math.abs(estimate - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

function unpack(rows: Buffer, rowBytes: number, { width, height, depth }: Header): Uint16Array {
  const values = new Uint16Array(width * height);
  const mask = (1 << depth) - 1;
  for (let y = 0, target = 0; y < height; y++) {
    const start = y * (rowBytes + 1) + 1;
    for (let x = 0; x < width; x++) {
      if (depth === 16) values[target++] = rows.readUInt16BE(start + 2 * x);
      else if (depth === 8) values[target++] = rows[start + x]!;
      else {
        const bit = x * depth;
        values[target++] = (rows[start + (bit >> 3)]! >> (8 - depth - (bit & 7))) & mask;
      }
    }
  }
  return values;
}
