/** Browsers draw no canvas with a longer side. */
const LONGEST_SIDE = 16_384;

export interface Area {
  left: number;
  top: number;
  width: number;
  height: number;
}

/**
 * Where pictures lie side by side: at their own size, with gaps of a hundredth of the widest, all made smaller by one
 * factor where they would not fit a canvas.
 */
export function placeSideBySide(pictures: readonly { width: number; height: number }[]): {
  width: number;
  height: number;
  areas: Area[];
} {
  const gap = Math.max(4, Math.round(Math.max(...pictures.map(({ width }) => width)) / 100));
  const full = pictures.reduce((sum, { width }) => sum + width, gap * (pictures.length - 1));
  const tallest = Math.max(...pictures.map(({ height }) => height));
  const scale = Math.min(1, LONGEST_SIDE / full, LONGEST_SIDE / tallest);
  const size = (pixels: number): number => Math.max(1, Math.floor(pixels * scale));
  let left = 0;
  const areas = pictures.map(({ width, height }) => {
    const area = { left: Math.floor(left * scale), top: 0, width: size(width), height: size(height) };
    left += width + gap;
    return area;
  });
  return { width: size(full), height: size(tallest), areas };
}
