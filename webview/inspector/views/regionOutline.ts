import {
  type CocoSegmentation,
  isRunLengths,
  maskOfRunLengths,
  maskOutline,
} from '../../../trainer/dense/cocoMask.ts';
import type { PictureContext } from '../../plate.ts';
import type { Palette } from '../../theme.ts';
import type { Placement } from '../viewport.ts';

/** The outline of a region's mask, in image pixels, made once when it is first drawn. */
const outlines = new WeakMap<CocoSegmentation, Path2D>();

function outlineOf(segmentation: CocoSegmentation): Path2D {
  let path = outlines.get(segmentation);
  if (path === undefined) {
    path = new Path2D();
    if (isRunLengths(segmentation)) traceLines(path, maskOutline(maskOfRunLengths(segmentation)));
    else for (const polygon of segmentation) tracePolygon(path, polygon);
    outlines.set(segmentation, path);
  }
  return path;
}

function traceLines(path: Path2D, lines: readonly number[]): void {
  for (let line = 0; line < lines.length; line += 4) {
    path.moveTo(lines[line]!, lines[line + 1]!);
    path.lineTo(lines[line + 2]!, lines[line + 3]!);
  }
}

function tracePolygon(path: Path2D, polygon: readonly number[]): void {
  path.moveTo(polygon[0]!, polygon[1]!);
  for (let corner = 2; corner < polygon.length; corner += 2)
    path.lineTo(polygon[corner]!, polygon[corner + 1]!);
  path.closePath();
}

/** Draws the outline of a mask so that it shows on any picture. */
export function drawMask(
  context: PictureContext,
  { left, top, scale }: Placement,
  mask: CocoSegmentation,
  palette: Palette,
  { colour, width }: { colour: string; width: number },
): void {
  const path = new Path2D();
  path.addPath(outlineOf(mask), new DOMMatrix([scale, 0, 0, scale, left, top]));
  context.setLineDash([]);
  context.strokeStyle = palette.highContrast ? palette.background : 'rgba(0, 0, 0, 0.7)';
  context.lineWidth = width + 2;
  context.stroke(path);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke(path);
}
