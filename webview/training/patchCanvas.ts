import type { PatchPreview } from '../../trainer/protocol.ts';
import { cosineColour, cssColour } from '../cosineColour.ts';
import { drawPlate } from '../plate.ts';
import type { Palette } from '../theme.ts';
import { areRegions, numberPlace } from './patchGrid.ts';

export interface PatchDrawing {
  preview: PatchPreview;
  /** Null where the image cannot be shown: the patches are drawn on an empty field. */
  image: CanvasImageSource | null;
  /** Index of the patch that is marked; −1 for none. */
  selected: number;
  palette: Palette;
}

/** Opacity of the tint over a patch: the scene below stays recognisable. */
const tintOpacity = 0.4;

/**
 * Draws the patches of a step over their image, each with its cosine as a number and, except in high contrast, as a
 * tint; of regions the outline has the colour. `width` and `height` are the canvas's size in CSS pixels.
 */
export function drawPatches(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  drawing: PatchDrawing,
): void {
  const density = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  const context = canvas.getContext('2d');
  if (context === null) return;
  context.setTransform(density, 0, 0, density, 0, 0);
  const { preview, image, palette, selected } = drawing;
  context.fillStyle = palette.background;
  context.fillRect(0, 0, width, height);
  if (image !== null) {
    context.imageSmoothingQuality = 'high';
    context.drawImage(image, 0, 0, width, height);
  }
  const scale = { x: width / preview.width, y: height / preview.height };
  const order = preview.boxes.map((_, index) => index).filter(index => index !== selected);
  if (selected >= 0) order.push(selected);
  for (const index of order) drawPatch(context, drawing, index, scale);
  // Above all patches: regions overlap.
  for (const index of order) drawNumber(context, drawing, index, scale);
}

function drawPatch(
  context: CanvasRenderingContext2D,
  { preview, palette, selected }: PatchDrawing,
  index: number,
  scale: { x: number; y: number },
): void {
  const [x0, y0, x1, y1] = preview.boxes[index]!;
  const [left, top] = [x0 * scale.x, y0 * scale.y];
  const [width, height] = [(x1 - x0) * scale.x, (y1 - y0) * scale.y];
  const cosine = preview.cosines[index] ?? Number.NaN;
  const colour = cosineColour(cosine);
  const marked = index === selected;
  if (!palette.highContrast && !marked && !areRegions(preview)) {
    context.fillStyle = cssColour(colour, tintOpacity);
    context.fillRect(left, top, width, height);
  }
  context.strokeStyle = palette.highContrast ? palette.background : 'rgba(0, 0, 0, 0.6)';
  context.lineWidth = marked ? 5 : 3;
  context.strokeRect(left + 1, top + 1, width - 2, height - 2);
  context.strokeStyle = marked
    ? palette.focus
    : palette.highContrast
      ? palette.foreground
      : cssColour(colour);
  context.lineWidth = marked ? 3 : areRegions(preview) ? 2 : 1;
  context.strokeRect(left + 1, top + 1, width - 2, height - 2);
}

/** The cosine on an opaque plate; left out where there is too little room for it. */
function drawNumber(
  context: CanvasRenderingContext2D,
  { preview, palette }: PatchDrawing,
  index: number,
  scale: { x: number; y: number },
): void {
  const [x0, y0, x1, y1] = preview.boxes[index]!;
  const [width, height] = [(x1 - x0) * scale.x, (y1 - y0) * scale.y];
  const size = Math.min(palette.fontSize, width / 3, (height * 2) / 3);
  if (size < 8) return;
  const cosine = preview.cosines[index] ?? Number.NaN;
  const text = Number.isFinite(cosine) ? cosine.toFixed(2) : '?';
  const { x, y } = numberPlace(preview, index, scale, size);
  drawPlate(context, palette, text, x, y, size);
}
