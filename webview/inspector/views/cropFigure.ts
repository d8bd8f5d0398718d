import { element } from '../../dom.ts';
import type { Box } from '../protocol/requests.ts';

/** CSS pixels along a side. */
const SIDE = 112;

/**
 * A box of the image as the teacher sees it: longest side to a square, centred, black around it. Without a box an empty
 * square of the same size: the image above must not move under the pointer.
 */
export function cropFigure(image: CanvasImageSource | null, box: Box | null, name: string): HTMLElement {
  const shown = image !== null && box !== null;
  const canvas = element('canvas', {
    class: 'crop',
    attributes: {
      role: 'img',
      'aria-label': shown ? `Crop of ${name} as the teacher sees it` : 'No patch selected',
    },
  });
  const side = Math.round(SIDE * (window.devicePixelRatio || 1));
  canvas.width = side;
  canvas.height = side;
  canvas.style.width = `${SIDE}px`;
  canvas.style.height = `${SIDE}px`;
  const context = canvas.getContext('2d');
  if (context !== null && shown) drawLetterboxed(context, image, box, side);
  const text = shown ? `${name} as the teacher sees it` : 'Point at a patch to see it as the teacher does.';
  const caption = element('figcaption', { text });
  return element('figure', { class: 'crop-figure' }, canvas, caption);
}

function drawLetterboxed(
  context: CanvasRenderingContext2D,
  image: CanvasImageSource,
  box: Box,
  side: number,
): void {
  context.fillStyle = 'black';
  context.fillRect(0, 0, side, side);
  context.imageSmoothingQuality = 'high';
  const [x0, y0, x1, y1] = box.map(Math.round) as Box;
  const [cropWidth, cropHeight] = [Math.max(x1 - x0, 1), Math.max(y1 - y0, 1)];
  const scale = side / Math.max(cropWidth, cropHeight);
  const [width, height] = [cropWidth * scale, cropHeight * scale];
  const [left, top] = [(side - width) / 2, (side - height) / 2];
  context.drawImage(image, x0, y0, cropWidth, cropHeight, left, top, width, height);
}
