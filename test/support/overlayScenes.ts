/** Small pictures with layers over them, for comparing the drawing code with the pictures in test/fixtures/overlays. */

import { blendLayer, drawLayer, type Layer, type Placement } from '../../trainer/dense/overlay.ts';

/** A landscape picture: 96 × 64 pixels become 64 × 43 of the student's, cut into 3 × 4 whole or partial patches. */
export const landscape: Placement = {
  rows: 4,
  columns: 4,
  valid: { rows: 3, columns: 4 },
  patchSize: 16,
  size: 64,
  imageWidth: 96,
  imageHeight: 64,
  width: 96,
  height: 64,
};

/** The same standing upright. */
export const portrait: Placement = {
  ...landscape,
  valid: { rows: 4, columns: 3 },
  imageWidth: 64,
  imageHeight: 96,
  width: 64,
  height: 96,
};

const { NaN: none } = Number;

const values: Layer = {
  kind: 'values',
  values: Float32Array.of(0, 0.1, 0.2, 0.3, 0.4, 0.5, 1, 0.7, 0.8, 0.9, 0, 1, none, none, none, none),
  low: 0,
  high: 1,
  colourMap: 'viridis',
};
const difference: Layer = { ...values, low: 0.1, high: 0.9, colourMap: 'difference' };
const labels: Layer = {
  kind: 'labels',
  labels: Int16Array.of(0, 0, 1, -1, 0, 2, 1, -1, 2, 2, 3, -1, 4, 5, 6, -1),
  colours: [0, 1, 2, 3, 7, 8, 9],
};
const colours: Layer = {
  kind: 'colours',
  rgb: Uint8Array.from({ length: 48 }, (_, index) => (index * 37) % 256),
};

export interface OverlayScene {
  layer: Layer;
  placement: Placement;
  smooth: boolean;
  opacity: number;
}

/** By the name of the picture that shows how it must look. */
export const overlayScenes: Readonly<Record<string, OverlayScene>> = {
  'values-flat': { layer: values, placement: landscape, smooth: false, opacity: 0.6 },
  'values-smooth': { layer: values, placement: landscape, smooth: true, opacity: 1 },
  'difference-small': {
    layer: difference,
    placement: { ...landscape, width: 48, height: 32 },
    smooth: true,
    opacity: 0.8,
  },
  'labels-flat': { layer: labels, placement: portrait, smooth: false, opacity: 0.6 },
  'labels-smooth': { layer: labels, placement: portrait, smooth: true, opacity: 1 },
  'colours-flat': { layer: colours, placement: landscape, smooth: false, opacity: 1 },
  'colours-smooth': { layer: colours, placement: landscape, smooth: true, opacity: 0.5 },
};

/** A grey ramp with a line every eight pixels. */
function background({ width, height }: Placement): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const x = pixel % width;
    const y = Math.floor(pixel / width);
    pixels.fill(x % 8 === 0 || y % 8 === 0 ? 0 : 80 + x + y, pixel * 4, pixel * 4 + 3);
  }
  return pixels;
}

/** RGBA [height, width, 4]. */
export function drawScene({
  layer,
  placement,
  smooth,
  opacity,
}: OverlayScene): Uint8ClampedArray<ArrayBuffer> {
  return blendLayer(background(placement), drawLayer(layer, placement, smooth), opacity);
}
