import { drawPlate, type PictureContext } from '../plate.ts';
import type { Palette } from '../theme.ts';
import { type MapGrid, patchBox } from './featureMap.ts';
import type { Box } from './protocol/requests.ts';
import type { Placement } from './viewport.ts';

/** A cell must be this many CSS pixels wide to hold a number. */
const NUMBER_ROOM = 22;

/** A rectangle in image pixels, outlined so that it shows on any picture. */
export function drawOutline(
  context: PictureContext,
  { left, top, scale }: Placement,
  [x0, y0, x1, y1]: Box,
  palette: Palette,
  options: { colour?: string; dashed?: boolean; width?: number } = {},
): void {
  const { colour = palette.focus, dashed = false, width = 2 } = options;
  const rectangle = [left + x0 * scale, top + y0 * scale, (x1 - x0) * scale, (y1 - y0) * scale] as const;
  context.setLineDash([]);
  context.strokeStyle = palette.highContrast ? palette.background : 'rgba(0, 0, 0, 0.7)';
  context.lineWidth = width + 2;
  context.strokeRect(...rectangle);
  if (dashed) context.setLineDash([5, 4]);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.strokeRect(...rectangle);
  context.setLineDash([]);
}

/** Lines between the patches that hold image. */
export function drawGridLines(
  context: PictureContext,
  { left, top, scale }: Placement,
  grid: MapGrid,
  palette: Palette,
): void {
  const right = Math.min(grid.valid.columns * grid.cell, grid.imageWidth);
  const bottom = Math.min(grid.valid.rows * grid.cell, grid.imageHeight);
  const path = new Path2D();
  for (let column = 0; column <= grid.valid.columns; column++) {
    const x = left + Math.min(column * grid.cell, right) * scale;
    path.moveTo(x, top);
    path.lineTo(x, top + bottom * scale);
  }
  for (let row = 0; row <= grid.valid.rows; row++) {
    const y = top + Math.min(row * grid.cell, bottom) * scale;
    path.moveTo(left, y);
    path.lineTo(left + right * scale, y);
  }
  context.setLineDash([]);
  context.lineWidth = 2;
  context.strokeStyle = 'rgba(0, 0, 0, 0.45)';
  context.stroke(path);
  context.lineWidth = 1;
  context.strokeStyle = palette.highContrast ? palette.foreground : 'rgba(255, 255, 255, 0.75)';
  context.stroke(path);
}

/** The index of every patch in its middle, where the patches are large enough on the screen. */
export function drawIndices(
  context: PictureContext,
  placement: Placement,
  grid: MapGrid,
  palette: Palette,
): void {
  const room = grid.cell * placement.scale;
  if (room < NUMBER_ROOM) return;
  const size = Math.min(room / 3, palette.fontSize);
  for (let row = 0; row < grid.valid.rows; row++)
    for (let column = 0; column < grid.valid.columns; column++) {
      const patch = row * grid.columns + column;
      const [x0, y0, x1, y1] = patchBox(grid, patch);
      const x = placement.left + ((x0 + x1) / 2) * placement.scale;
      const y = placement.top + ((y0 + y1) / 2) * placement.scale;
      const { width, height } = context.canvas;
      if (x < 0 || y < 0 || x > width || y > height) continue;
      drawPlate(context, palette, String(patch), x, y, size);
    }
}
