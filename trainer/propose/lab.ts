import type { Raster } from '../images/raster.ts';

/** A small image in CIE L*a*b*, where distances are near to what the eye sees. */
export interface LabImage {
  width: number;
  height: number;
  /** [height × width, 3]: L* 0 … 100, a* and b* about −128 … 127. */
  data: Float32Array;
}

const linear = Float32Array.from({ length: 256 }, (_, byte) => {
  const value = byte / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
});

const root = (t: number): number => (t > 216 / 24389 ? Math.cbrt(t) : (t * (24389 / 27) + 16) / 116);

/** sRGB to L*a*b* under D65. */
export function labOf(rgb: Uint8Array, { width, height }: Pick<Raster, 'width' | 'height'>): LabImage {
  const data = new Float32Array(width * height * 3);
  for (let at = 0; at < data.length; at += 3) {
    const [r, g, b] = [linear[rgb[at]!]!, linear[rgb[at + 1]!]!, linear[rgb[at + 2]!]!];
    const x = root((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
    const y = root(0.2126729 * r + 0.7151522 * g + 0.072175 * b);
    const z = root((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / 1.08883);
    data[at] = 116 * y - 16;
    data[at + 1] = 500 * (x - y);
    data[at + 2] = 200 * (y - z);
  }
  return { width, height, data };
}
