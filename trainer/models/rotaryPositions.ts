import { add, multiply } from '../graph/operations/arithmetic.ts';
import { reshape } from '../graph/operations/layout.ts';
import { matmul } from '../graph/operations/product.ts';
import { Value } from '../graph/value.ts';
import type { Eva02Architecture } from './architecture.ts';
import { type ImageBatch, tokenCount } from './visionStage.ts';

interface HostTable {
  shape: number[];
  data: Float32Array;
}

/** Inputs of a block that turns queries and keys: cosines and sines `[tokens, d]`, and the quarter turn `[d, d]`. */
export interface RotaryTables {
  rotaryCosine: HostTable;
  rotarySine: HostTable;
  quarterTurn: HostTable;
}

const base = 10000;

/**
 * Angles of a square grid, `[side², d]` row-major, in float32 step by step as the published code computes them. The
 * tables are not interpolated: positions count i / side · rotaryGrid at every size. Rows turn the first half of a
 * head's channels, columns the second; two neighbouring channels share a frequency.
 */
function rotaryAngles(side: number, channels: number, rotaryGrid: number): Float32Array {
  const half = channels / 2;
  const { fround } = Math;
  const frequencies = Array.from({ length: half / 2 }, (_, pair) =>
    fround(1 / fround(base ** fround((2 * pair) / half))),
  );
  const positions = Array.from({ length: side }, (_, index) => fround(fround(index / side) * rotaryGrid));
  const angles = new Float32Array(side * side * channels);
  for (let row = 0; row < side; row++)
    for (let column = 0; column < side; column++)
      for (let channel = 0; channel < channels; channel++) {
        const position = positions[channel < half ? row : column]!;
        const angle = position * frequencies[(channel % half) >> 1]!;
        angles[(row * side + column) * channels + channel] = angle;
      }
  return angles;
}

/** Tables for the tokens of a square grid. The class token comes first and is not turned. */
export function rotaryTables(
  { width, heads, rotaryGrid }: Pick<Eva02Architecture, 'width' | 'heads' | 'rotaryGrid'>,
  side: number,
): RotaryTables {
  const channels = width / heads;
  const angles = rotaryAngles(side, channels, rotaryGrid);
  const shape = [1 + side * side, channels];
  const cosine = new Float32Array(angles.length + channels).fill(1, 0, channels);
  const sine = new Float32Array(angles.length + channels);
  angles.forEach((angle, index) => {
    cosine[channels + index] = Math.cos(angle);
    sine[channels + index] = Math.sin(angle);
  });
  const turn = new Float32Array(channels * channels);
  for (let channel = 0; channel < channels; channel += 2) {
    turn[(channel + 1) * channels + channel] = -1;
    turn[channel * channels + channel + 1] = 1;
  }
  return {
    rotaryCosine: { shape, data: cosine },
    rotarySine: { shape, data: sine },
    quarterTurn: { shape: [channels, channels], data: turn },
  };
}

/** The tables as a graph's inputs. */
export function rotaryValues(architecture: Eva02Architecture, batch: ImageBatch) {
  const channels = architecture.width / architecture.heads;
  const table = [tokenCount(batch), channels];
  return {
    rotaryCosine: Value.input('rotaryCosine', table),
    rotarySine: Value.input('rotarySine', table),
    quarterTurn: Value.input('quarterTurn', [channels, channels]),
  };
}

/**
 * Turns queries or keys by the angle of their token: x · cos + turn(x) · sin, turn (a, b) = (−b, a). For
 * `[B, heads, tokens, d]` tables are as they come, for `[B, tokens, heads, d]` those of angles `[tokens, 1, d]`.
 */
export function rotate(x: Value, tables: ReturnType<typeof rotaryValues>): Value {
  const channels = x.shape.at(-1)!;
  const turned = matmul(reshape(x, [x.size / channels, channels]), tables.quarterTurn);
  return add(multiply(x, tables.rotaryCosine), multiply(reshape(turned, x.shape), tables.rotarySine));
}
