import { type Palette, withOpacity } from '../theme.ts';
import { LABEL_CELL, type MatrixLayout, NUMBER_CELL, visibleRange } from './matrixGeometry.ts';

/** A cell that holds something, by its row and column in the shown order. */
export interface MatrixEntry {
  column: number;
  /** Share of the row, or its change; −1 … 1. */
  share: number;
  /** It counts as good: a region named rightly, or a mistake made less often. */
  good: boolean;
}

export interface MatrixPicture {
  layout: MatrixLayout;
  scroll: { x: number; y: number };
  width: number;
  height: number;
  /** Entries of each row. */
  rows: readonly (readonly MatrixEntry[])[];
  /** Names in the shown order. */
  names: readonly string[];
  cursor: { row: number; column: number } | null;
  palette: Palette;
}

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** Opacities in so many steps: a fill style for each is made once. */
const SHADES = 24;

/** Draws the part of the matrix that is in sight. Rows are true classes, columns what they were named. */
export function paintMatrix(context: Context, picture: MatrixPicture): void {
  const { layout, scroll, width, height } = picture;
  context.clearRect(0, 0, width, height);
  const rows = visibleRange(layout, scroll.y, height - layout.top);
  const columns = visibleRange(layout, scroll.x, width - layout.left);
  context.save();
  context.beginPath();
  context.rect(layout.left, layout.top, width - layout.left, height - layout.top);
  context.clip();
  paintGround(context, picture, rows, columns);
  paintCells(context, picture, rows, columns);
  paintCursor(context, picture);
  context.restore();
  paintNames(context, picture, rows, columns);
}

interface Range {
  first: number;
  last: number;
}

const xOf = ({ layout, scroll }: MatrixPicture, column: number): number =>
  layout.left + column * layout.cell - scroll.x;
const yOf = ({ layout, scroll }: MatrixPicture, row: number): number =>
  layout.top + row * layout.cell - scroll.y;

/** Where cells are and the diagonal runs, so that empty cells can be told from nothing. */
function paintGround(context: Context, picture: MatrixPicture, rows: Range, columns: Range): void {
  const { cell } = picture.layout;
  const { palette } = picture;
  context.fillStyle = withOpacity(palette.foreground, 0.04);
  const [left, top] = [xOf(picture, columns.first), yOf(picture, rows.first)];
  const [across, down] = [(columns.last - columns.first) * cell, (rows.last - rows.first) * cell];
  context.fillRect(left, top, across, down);
  if (cell < 8) return;
  context.strokeStyle = withOpacity(palette.foreground, palette.highContrast ? 0.22 : 0.07);
  context.lineWidth = 1;
  context.beginPath();
  for (let row = rows.first; row <= rows.last; row++) {
    const y = Math.round(yOf(picture, row)) + 0.5;
    context.moveTo(left, y);
    context.lineTo(left + across, y);
  }
  for (let column = columns.first; column <= columns.last; column++) {
    const x = Math.round(xOf(picture, column)) + 0.5;
    context.moveTo(x, top);
    context.lineTo(x, top + down);
  }
  context.stroke();
}

function paintCells(context: Context, picture: MatrixPicture, rows: Range, columns: Range): void {
  const { layout, palette } = picture;
  const shades = (colour: string): string[] =>
    Array.from({ length: SHADES + 1 }, (_, step) => withOpacity(colour, 0.15 + (0.85 * step) / SHADES));
  const [good, bad] = [shades(palette.blue), shades(palette.red)];
  // A cell smaller than a pixel is still seen.
  const gap = layout.cell >= 8 ? 1 : 0;
  const side = Math.max(layout.cell - gap, 1.2);
  for (let row = rows.first; row < rows.last; row++) {
    const y = yOf(picture, row) + gap;
    for (const entry of picture.rows[row] ?? []) {
      if (entry.column < columns.first || entry.column >= columns.last) continue;
      const strength = Math.sqrt(Math.min(Math.abs(entry.share), 1));
      context.fillStyle = (entry.good ? good : bad)[Math.round(strength * SHADES)]!;
      context.fillRect(xOf(picture, entry.column) + gap, y, side, side);
      if (layout.cell >= NUMBER_CELL) paintNumber(context, picture, row, entry, strength);
    }
  }
}

function paintNumber(
  context: Context,
  picture: MatrixPicture,
  row: number,
  entry: MatrixEntry,
  strength: number,
): void {
  const { layout, palette } = picture;
  const points = Math.round(entry.share * 100);
  if (points === 0) return;
  context.fillStyle = strength > 0.6 && !palette.highContrast ? palette.background : palette.foreground;
  context.font = `${palette.fontSize - 2}px ${palette.fontFamily}`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  const half = layout.cell / 2;
  context.fillText(
    String(points).replace('-', '−'),
    xOf(picture, entry.column) + half,
    yOf(picture, row) + half,
  );
}

function paintCursor(context: Context, picture: MatrixPicture): void {
  const { cursor, layout, palette } = picture;
  if (cursor === null) return;
  const side = Math.max(layout.cell, 5);
  const shift = (side - layout.cell) / 2;
  const [x, y] = [xOf(picture, cursor.column), yOf(picture, cursor.row)];
  context.fillStyle = withOpacity(palette.foreground, 0.08);
  const extent = layout.count * layout.cell;
  context.fillRect(layout.left, y, extent - picture.scroll.x, layout.cell);
  context.fillRect(x, layout.top, layout.cell, extent - picture.scroll.y);
  context.strokeStyle = palette.background;
  context.lineWidth = 4;
  context.strokeRect(x - shift, y - shift, side, side);
  context.strokeStyle = palette.focus;
  context.lineWidth = 2;
  context.strokeRect(x - shift, y - shift, side, side);
}

function paintNames(context: Context, picture: MatrixPicture, rows: Range, columns: Range): void {
  const { layout, palette, names, cursor } = picture;
  const size = Math.min(palette.fontSize - 1, layout.cell - 1);
  context.textBaseline = 'middle';
  if (layout.cell < LABEL_CELL) {
    paintAxes(context, picture);
    return;
  }
  const font = (strong: boolean): string =>
    `${strong ? '600 ' : ''}${Math.max(size, 9)}px ${palette.fontFamily}`;
  const half = layout.cell / 2;
  context.save();
  context.beginPath();
  context.rect(0, layout.top, layout.left, picture.height);
  context.clip();
  context.textAlign = 'right';
  for (let row = rows.first; row < rows.last; row++) {
    context.font = font(cursor?.row === row);
    context.fillStyle = cursor?.row === row ? palette.foreground : palette.muted;
    const text = fitted(context, names[row] ?? '', layout.left - 12);
    context.fillText(text, layout.left - 6, yOf(picture, row) + half);
  }
  context.restore();
  context.save();
  context.beginPath();
  context.rect(layout.left, 0, picture.width, layout.top);
  context.clip();
  context.textAlign = 'left';
  for (let column = columns.first; column < columns.last; column++) {
    context.save();
    context.translate(xOf(picture, column) + half, layout.top - 6);
    context.rotate(-Math.PI / 2);
    context.font = font(cursor?.column === column);
    context.fillStyle = cursor?.column === column ? palette.foreground : palette.muted;
    context.fillText(fitted(context, names[column] ?? '', layout.top - 12), 0, 0);
    context.restore();
  }
  context.restore();
}

function paintAxes(context: Context, { layout, palette, width, height }: MatrixPicture): void {
  context.font = `${palette.fontSize - 1}px ${palette.fontFamily}`;
  context.fillStyle = palette.muted;
  context.textAlign = 'left';
  context.fillText('named →', layout.left, layout.top / 2, width - layout.left);
  context.save();
  context.translate(layout.left / 2, layout.top);
  context.rotate(-Math.PI / 2);
  context.textAlign = 'right';
  context.fillText('← true class', 0, 0, height - layout.top);
  context.restore();
}

/** The text, or its beginning with an ellipsis where there is not the room. */
function fitted(context: Context, text: string, room: number): string {
  if (context.measureText(text).width <= room) return text;
  let length = Math.max(1, Math.floor((text.length * room) / context.measureText(text).width));
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > room) length--;
  return `${text.slice(0, length)}…`;
}
