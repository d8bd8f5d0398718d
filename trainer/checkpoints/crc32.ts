import * as zlib from 'node:zlib';

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** Without help of Node's. */
export function crc32OfBytes(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (let index = 0; index < bytes.length; index++)
    value = (value >>> 8) ^ table[(value ^ bytes[index]!) & 0xff]!;
  return (value ^ 0xffffffff) >>> 0;
}

/**
 * CRC-32 as zip archives use it (ISO 3309, polynomial 0x04c11db7 reflected). Node has had one since 20.15, which is about
 * ten times as fast.
 */
export const crc32: (bytes: Uint8Array) => number =
  'crc32' in zlib ? bytes => zlib.crc32(bytes) : crc32OfBytes;
