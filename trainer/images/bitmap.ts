/** Windows bitmaps (BMP), which the image library does not read: uncompressed, 1, 4, 8, 24 or 32 bits a pixel. */

import { ImageError } from './imageError.ts';
import { createRaster, type ImageMode, maximumPixels, type Raster } from './raster.ts';

interface BitmapHeader {
  width: number;
  height: number;
  topDown: boolean;
  bits: number;
  /** Byte offset of the pixels, bytes of a row including its padding. */
  pixels: number;
  rowBytes: number;
  alpha: boolean;
  /** Byte offset, entry size and entry count of the palette. */
  palette: { start: number; entryBytes: number; count: number };
}

export function decodeBitmap(file: string, bytes: Buffer): Raster {
  const header = readHeader(file, bytes);
  if (header.pixels + header.rowBytes * header.height > bytes.length) {
    throw new ImageError(file, 'the bitmap is truncated');
  }
  return header.bits <= 8 ? decodeIndexed(file, bytes, header) : decodeDirect(bytes, header);
}

function readHeader(file: string, bytes: Buffer): BitmapHeader {
  if (bytes.length < 54) throw new ImageError(file, 'the bitmap is truncated');
  const infoBytes = bytes.readUInt32LE(14);
  if (infoBytes < 40) throw new ImageError(file, 'bitmaps of the OS/2 kind are not supported');
  const width = bytes.readInt32LE(18);
  const signedHeight = bytes.readInt32LE(22);
  const height = Math.abs(signedHeight);
  const bits = bytes.readUInt16LE(28);
  const compression = bytes.readUInt32LE(30);
  if (width < 1 || height < 1) throw new ImageError(file, `the bitmap claims ${width}×${height} pixels`);
  if (width * height > maximumPixels)
    throw new ImageError(file, `more than ${maximumPixels} pixels (${width}×${height})`);
  const masked = compression === 3 && bits === 32;
  if (![1, 4, 8, 24, 32].includes(bits) || (compression !== 0 && !masked)) {
    throw new ImageError(file, `bitmaps of ${bits} bits with compression ${compression} are not supported`);
  }
  return {
    width,
    height,
    topDown: signedHeight < 0,
    bits,
    pixels: bytes.readUInt32LE(10),
    rowBytes: Math.ceil((width * bits) / 32) * 4,
    alpha: masked && hasAlphaMask(file, bytes, infoBytes),
    palette: {
      start: 14 + infoBytes,
      entryBytes: 4,
      count: Math.min(bytes.readUInt32LE(46) || 1 << bits, 1 << Math.min(bits, 8)),
    },
  };
}

/** The channel masks follow the first 40 header bytes; only the usual order blue, green, red, alpha is read. */
function hasAlphaMask(file: string, bytes: Buffer, infoBytes: number): boolean {
  if (bytes.length < 70) throw new ImageError(file, 'the bitmap is truncated');
  const masks = [54, 58, 62].map(at => bytes.readUInt32LE(at));
  if (masks[0] !== 0xff0000 || masks[1] !== 0xff00 || masks[2] !== 0xff) {
    throw new ImageError(file, 'the bitmap has channel masks that are not supported');
  }
  return infoBytes >= 56 && bytes.readUInt32LE(66) === 0xff000000;
}

function decodeDirect(bytes: Buffer, header: BitmapHeader): Raster {
  const image = createRaster(header.width, header.height, header.alpha ? 'RGBA' : 'RGB');
  const step = header.bits / 8;
  let target = 0;
  for (let row = 0; row < header.height; row++) {
    let source = rowStart(header, row);
    for (let column = 0; column < header.width; column++, source += step) {
      image.data[target++] = bytes[source + 2]!;
      image.data[target++] = bytes[source + 1]!;
      image.data[target++] = bytes[source]!;
      if (header.alpha) image.data[target++] = bytes[source + 3]!;
    }
  }
  return image;
}

function decodeIndexed(file: string, bytes: Buffer, header: BitmapHeader): Raster {
  const { start, entryBytes, count } = header.palette;
  if (start + count * entryBytes > bytes.length) throw new ImageError(file, 'the bitmap is truncated');
  const grey = isGreyRamp(bytes, header);
  const mode: ImageMode = grey ? (count === 2 ? '1' : 'L') : 'P';
  const image = createRaster(header.width, header.height, mode);
  const perByte = 8 / header.bits;
  let target = 0;
  for (let row = 0; row < header.height; row++) {
    const source = rowStart(header, row);
    for (let column = 0; column < header.width; column++) {
      const byte = bytes[source + Math.floor(column / perByte)]!;
      const shift = 8 - header.bits * ((column % perByte) + 1);
      const index = Math.min((byte >> shift) & ((1 << header.bits) - 1), count - 1);
      const colour = start + index * entryBytes;
      for (let channel = 0; channel < image.channels; channel++) {
        image.data[target++] = bytes[colour + 2 - channel]!;
      }
    }
  }
  return image;
}

/** PIL reads a palette that is an even ramp from black to white (2 or 256 entries) as grey. */
function isGreyRamp(bytes: Buffer, header: BitmapHeader): boolean {
  const { start, entryBytes, count } = header.palette;
  if (count !== 2 && count !== 256) return false;
  for (let index = 0; index < count; index++) {
    const value = count === 2 ? index * 255 : index;
    for (let channel = 0; channel < 3; channel++) {
      if (bytes[start + index * entryBytes + channel] !== value) return false;
    }
  }
  return true;
}

function rowStart(header: BitmapHeader, row: number): number {
  return header.pixels + (header.topDown ? row : header.height - 1 - row) * header.rowBytes;
}
