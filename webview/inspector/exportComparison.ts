import type { Palette } from '../theme.ts';
import { placeSideBySide } from './sideBySide.ts';

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
