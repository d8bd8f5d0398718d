import type { Canvas } from './canvas.ts';

/**
 * How things are in a zone: standing on the ground with a shadow, swimming with the feet under water, floating in the
 * air, or lying flat and seen from above.
 */
export type Posture = 'stand' | 'swim' | 'float' | 'lie';

/**
 * A part of a backdrop in which things may be, in pixels. For `stand` and `swim` the vertical range is that of the feet, for
 * `float` and `lie` it holds the whole thing.
 */
export interface Zone {
  posture: Posture;
  left: number;
  right: number;
  top: number;
  bottom: number;
  /** Size of a thing at the top of the zone, where it is farthest away, over its size at the bottom. */
  farScale: number;
}

export type Zones = Record<string, Zone>;

/** Feet between two heights (fractions of the picture), over its whole width. */
export function standing(canvas: Canvas, top: number, bottom: number, farScale = 0.6): Zone {
  const { width, height } = canvas;
  return { posture: 'stand', left: 0, right: width, top: top * height, bottom: bottom * height, farScale };
}

/** Anywhere between two heights (fractions of the picture), in the air. */
export function floating(canvas: Canvas, top: number, bottom: number): Zone {
  const { width, height } = canvas;
  return { posture: 'float', left: 0, right: width, top: top * height, bottom: bottom * height, farScale: 1 };
}
