import type { Palette } from './theme.ts';

/** What pictures are drawn on: the screen, or a canvas that is saved. */
export type PictureContext = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** Text on an opaque plate around a point of the canvas. Changes font, alignment and styles of the context. */
export function drawPlate(
  context: PictureContext,
  palette: Palette,
  text: string,
  x: number,
  y: number,
  size: number,
): void {
  context.font = `600 ${size}px ${palette.fontFamily}`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  const width = context.measureText(text).width + size * 0.7;
  const height = size * 1.5;
  context.fillStyle = palette.background;
  context.beginPath();
  context.roundRect(x - width / 2, y - height / 2, width, height, 3);
  context.fill();
  if (palette.highContrast) {
    context.strokeStyle = palette.foreground;
    context.lineWidth = 1;
    context.stroke();
  }
  context.fillStyle = palette.foreground;
  context.fillText(text, x, y + size * 0.05);
}
