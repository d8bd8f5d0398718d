/** Widening of 16-bit floats to float32; both are exact. */

let halfTable: Float32Array | undefined;

/** One value of IEEE 754 binary16. */
function decodeHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Writes the float16 values given by their bits to `target` from `offset` on. */
export function widenFloat16(bits: Uint16Array, target: Float32Array, offset: number): void {
  halfTable ??= Float32Array.from({ length: 65536 }, (_, index) => decodeHalf(index));
  for (let index = 0; index < bits.length; index++) target[offset + index] = halfTable[bits[index]!]!;
}

/** Writes the bfloat16 values given by their bits to `target` from `offset` on: they are the upper half of a float32. */
export function widenBfloat16(bits: Uint16Array, target: Float32Array, offset: number): void {
  const targetBits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let index = 0; index < bits.length; index++) targetBits[offset + index] = bits[index]! << 16;
}
