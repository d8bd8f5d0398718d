import type { Palette } from '../theme.ts';

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
export function placeSideBySide(
  pictures: readonly { width: number; height: number }[],
  longestSide = LONGEST_SIDE,
): { width: number; height: number; areas: Area[] } {
  const gap = Math.max(4, Math.round(Math.max(...pictures.map(({ width }) => width)) / 100));
  const full = pictures.reduce((sum, { width }) => sum + width, gap * (pictures.length - 1));
  const tallest = Math.max(...pictures.map(({ height }) => height));
  const scale = Math.min(1, longestSide / full, longestSide / tallest);
  const size = (pixels: number): number => Math.max(1, Math.floor(pixels * scale));
  let left = 0;
  const areas = pictures.map(({ width, height }) => {
    const area = { left: size(left), top: 0, width: size(width), height: size(height) };
    left += width + gap;
    return area;
  });
  return { width: size(full), height: size(tallest), areas };
}

/** The pictures of all columns in one, from left to right. */
export function drawComparison(pictures: readonly OffscreenCanvas[], palette: Palette): OffscreenCanvas {
  const { width, height, areas } = placeSideBySide(pictures);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('The picture cannot be drawn here.');
  context.fillStyle = palette.background;
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = 'high';
  pictures.forEach((picture, index) => {
    const { left, top, width: across, height: down } = areas[index]!;
    context.drawImage(picture, left, top, across, down);
  });
  return canvas;
}
