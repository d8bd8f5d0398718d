/**
 * Image files to pixels, with the values PIL gives: no EXIF rotation, no colour management, JPEG by libjpeg's default
 * (accurate transform, smooth chroma upsampling).
 *
 * Where PIL's own conversion loses the picture this module differs on purpose: 16-bit grey keeps its high byte (PIL
 * clips at 255), CMYK is converted by the image library. Animations give their first frame. Transparency that is not
 * a full alpha channel (a palette's, or PNG's one transparent colour) is dropped, as PIL drops it.
 */

import { readFile, stat } from 'node:fs/promises';
import sharp, { type Metadata } from 'sharp';
import { decodeBitmap } from './bitmap.ts';
import { ImageError } from './imageError.ts';
import { createRaster, type ImageMode, maximumPixels, type Raster } from './raster.ts';

export type DecodedImage = Raster;

type ImageFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff' | 'bmp';

const maximumFileBytes = 2 ** 30;

// No image is decoded twice in a row: remembering what was done costs a tenth of the time, and memory.
sharp.cache(false);

/** Reads and decodes an image file. Throws ImageError naming the file and the reason. */
export async function decodeImage(file: string): Promise<DecodedImage> {
  return decodeImageBytes(file, await readImageFile(file));
}

/** Decodes the content of an image file. Throws ImageError naming the file and the reason. */
export async function decodeImageBytes(file: string, bytes: Buffer): Promise<DecodedImage> {
  const format = imageFormat(bytes);
  if (format === null) throw new ImageError(file, 'not a JPEG, PNG, WebP, GIF, TIFF or BMP image');
  if (format === 'bmp') return decodeBitmap(file, bytes);
  try {
    return await decodeBytes(bytes, format);
  } catch (error) {
    throw new ImageError(file, decoderReason(error));
  }
}

/** The content of an image file, bounded. Throws ImageError. */
export async function readImageFile(file: string): Promise<Buffer> {
  try {
    const status = await stat(file);
    if (!status.isFile()) throw new ImageError(file, 'not a file');
    if (status.size === 0) throw new ImageError(file, 'the file is empty');
    if (status.size > maximumFileBytes) throw new ImageError(file, 'the file is larger than 1 GiB');
    return await readFile(file);
  } catch (error) {
    if (error instanceof ImageError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ImageError(file, code === 'ENOENT' ? 'no such file' : `cannot be read (${code ?? message})`);
  }
}

/** The format by the file's first bytes; the name's extension says nothing reliable. */
function imageFormat(bytes: Buffer): ImageFormat | null {
  const starts = (signature: string, at = 0) =>
    bytes.toString('latin1', at, at + signature.length) === signature;
  if (starts('\xff\xd8\xff')) return 'jpeg';
  if (starts('\x89PNG\r\n\x1a\n')) return 'png';
  if (starts('RIFF') && starts('WEBP', 8)) return 'webp';
  if (starts('GIF8')) return 'gif';
  if (starts('II*\0') || starts('MM\0*')) return 'tiff';
  return starts('BM') ? 'bmp' : null;
}

async function decodeBytes(bytes: Buffer, format: ImageFormat): Promise<DecodedImage> {
  const image = sharp(bytes, {
    // PIL forgives warnings (stray bytes between JPEG segments) but not a file that ends too early.
    failOn: 'error',
    limitInputPixels: maximumPixels,
    ignoreIcc: true,
  });
  const metadata = await image.metadata();
  const mode = modeOf(bytes, format, metadata);
  const { data, info } = await image.toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  return createRaster(info.width, info.height, mode, selectChannels(data, info.channels, mode));
}

/** PIL's mode of the image. */
function modeOf(bytes: Buffer, format: ImageFormat, metadata: Metadata): ImageMode {
  if (format === 'gif') return 'P';
  if (format === 'png') return pngMode(bytes);
  if (metadata.isPalette) return 'P';
  const grey = metadata.space === 'b-w' || metadata.space === 'grey16';
  if (grey && metadata.bitsPerSample === 1) return '1';
  if (metadata.hasAlpha) return grey ? 'LA' : 'RGBA';
  return grey ? 'L' : 'RGB';
}

/** From bit depth and colour type in the header chunk, which always comes first. */
function pngMode(bytes: Buffer): ImageMode {
  const depth = bytes[24];
  const modes: Record<number, ImageMode> = {
    0: depth === 1 ? '1' : 'L',
    2: 'RGB',
    3: 'P',
    4: 'LA',
    6: 'RGBA',
  };
  return modes[bytes[25] ?? -1] ?? 'RGB';
}

/** The library gives grey as three channels and may add alpha; keeps what the mode holds. */
function selectChannels(data: Uint8Array, channels: number, mode: ImageMode): Uint8Array {
  const kept: Record<ImageMode, number[]> = {
    '1': [0],
    L: [0],
    LA: [0, channels - 1],
    P: [0, 1, 2],
    RGB: [0, 1, 2],
    RGBA: [0, 1, 2, 3],
  };
  const selection = kept[mode];
  if (selection.length === channels) return new Uint8Array(data.buffer, data.byteOffset, data.length);
  if (selection.at(-1)! >= channels) throw new Error(`decoded to ${channels} channels instead of ${mode}`);
  const pixels = data.length / channels;
  const result = new Uint8Array(pixels * selection.length);
  let target = 0;
  for (let source = 0; source < data.length; source += channels) {
    for (const channel of selection) result[target++] = data[source + channel]!;
  }
  return result;
}

/** The decoder's own words, one line of them. */
function decoderReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (/pixel limit/i.test(text)) return `more than ${maximumPixels} pixels`;
  return `cannot be decoded (${text.split('\n')[0]!.trim()})`;
}
