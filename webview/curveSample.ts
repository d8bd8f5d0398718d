import type { PictureContext } from './plate.ts';
import type { Palette } from './theme.ts';
import type { Curve } from './training/lineChart.ts';
import type { Marker } from './training/series.ts';

/** Size of a sample in the text, CSS pixels. */
const [WIDTH, HEIGHT] = [26, 12];

/** A piece of a curve as a legend shows it, with its colour, dash and marker. */
export function drawSample(look: Curve, palette: Palette): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  const scale = Math.max(window.devicePixelRatio || 1, 1);
  canvas.className = 'curve-sample';
  canvas.setAttribute('aria-hidden', 'true');
  canvas.width = WIDTH * scale;
  canvas.height = HEIGHT * scale;
  const context = canvas.getContext('2d');
  if (context !== null) paintSample(context, look, palette, 0, canvas.height / 2, scale);
  return canvas;
}

/** Width of a sample for a scale, in pixels. */
export const sampleWidth = (scale: number): number => WIDTH * scale;

/** Draws a sample from a point on its middle line. */
export function paintSample(
  context: PictureContext,
  look: Curve,
  palette: Palette,
  left: number,
  middle: number,
  scale: number,
): void {
  const colour = look.colour(palette);
  context.save();
  context.strokeStyle = colour;
  context.fillStyle = colour;
  context.lineWidth = look.width * scale;
  context.setLineDash((look.dash ?? []).map(length => length * scale));
  context.beginPath();
  context.moveTo(left, middle);
  context.lineTo(left + WIDTH * scale, middle);
  context.stroke();
  context.setLineDash([]);
  if (look.marker !== undefined)
    paintMarker(context, look.marker, left + (WIDTH / 2) * scale, middle, 4 * scale);
  context.restore();
}

/** Corners of a marker around its middle, in radii; a circle has none. */
const corners: Readonly<Record<Exclude<Marker, 'circle'>, readonly (readonly [number, number])[]>> = {
  rect: [
    [-0.9, -0.9],
    [0.9, -0.9],
    [0.9, 0.9],
    [-0.9, 0.9],
  ],
  rectRot: [
    [0, -1.2],
    [1.2, 0],
    [0, 1.2],
    [-1.2, 0],
  ],
  triangle: [
    [0, -1.1],
    [1, 0.8],
    [-1, 0.8],
  ],
  cross: [],
  crossRot: [],
};

function paintMarker(context: PictureContext, marker: Marker, x: number, y: number, radius: number): void {
  context.beginPath();
  if (marker === 'circle') context.arc(x, y, radius * 0.9, 0, 2 * Math.PI);
  else if (marker === 'cross' || marker === 'crossRot') {
    const [across, down] = marker === 'cross' ? [radius * 1.2, 0] : [radius * 0.9, radius * 0.9];
    context.moveTo(x - across, y - down);
    context.lineTo(x + across, y + down);
    context.moveTo(x - down, y + across);
    context.lineTo(x + down, y - across);
    context.stroke();
    return;
  } else for (const [right, below] of corners[marker]) context.lineTo(x + right * radius, y + below * radius);
  context.fill();
}
