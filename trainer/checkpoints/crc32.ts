const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 as zip archives use it (ISO 3309, polynomial 0x04c11db7 reflected). */
export function crc32(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (let index = 0; index < bytes.length; index++)
    value = (value >>> 8) ^ table[(value ^ bytes[index]!) & 0xff]!;
  return (value ^ 0xffffffff) >>> 0;
}
