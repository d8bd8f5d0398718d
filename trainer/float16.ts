/** 16-bit floats (IEEE 754 binary16), the form in which feature maps travel and are cached. */

import { widenFloat16 } from './checkpoints/halfPrecision.ts';

/** Widens half-precision values given by their bits; exact. */
export function fromFloat16(bits: Uint16Array): Float32Array {
  const values = new Float32Array(bits.length);
  widenFloat16(bits, values, 0);
  return values;
}

/** Bits of the nearest half-precision values, halves to even; what is too large becomes infinite. */
export function toFloat16(values: Float32Array): Uint16Array {
  const patterns = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let index = 0; index < bits.length; index++) bits[index] = narrow(patterns[index]!);
  return bits;
}

/** Bits of a float32 to bits of the nearest float16. */
function narrow(pattern: number): number {
  const sign = (pattern >>> 16) & 0x8000;
  const magnitude = pattern & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 is half-way between the largest half-precision value and the next power of two.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) return sign | subnormal(magnitude);
  const rebased = magnitude - 0x38000000;
  const rounding = 0xfff + ((rebased >>> 13) & 1);
  return sign | ((rebased + rounding) >>> 13);
}

/** Multiples of 2^-24 below the smallest normal half-precision value, 2^-14. */
function subnormal(magnitude: number): number {
  const exponent = magnitude >>> 23;
  // Below 2^-25, and exactly there, everything rounds to zero.
  if (exponent < 102) return 0;
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - exponent;
  const half = 1 << (shift - 1);
  const quotient = significand >>> shift;
  const remainder = significand & ((1 << shift) - 1);
  return remainder > half || (remainder === half && quotient & 1) ? quotient + 1 : quotient;
}
