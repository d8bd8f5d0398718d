import { turnPairs } from '../graph/operations/turnPairs.ts';
import { Value } from '../graph/value.ts';
import type { Eva02Architecture } from './architecture.ts';
import { type ImageBatch, tokenCount } from './visionStage.ts';

interface HostTable {
  shape: number[];
  data: Float32Array;
}

/** Inputs of a block that turns queries and keys: cosines and sines of each token and pair of channels, `[tokens, d / 2]`. */
export interface RotaryTables {
  rotaryCosine: HostTable;
  rotarySine: HostTable;
}

const base = 10000;

/**
 * Angles of a square grid, `[side², d / 2]` row-major, in float32 step by step as the published code computes them. The
 * tables are not interpolated: positions count i / side · rotaryGrid at every size. Rows turn the first half of a
 * head's pairs of neighbouring channels, columns the second.
 */
function rotaryAngles(side: number, channels: number, rotaryGrid: number): Float32Array {
  const [half, pairs] = [channels / 2, channels / 4];
  const { fround } = Math;
  const frequencies = Array.from({ length: pairs }, (_, pair) =>
    fround(1 / fround(base ** fround((2 * pair) / half))),
  );
  const positions = Array.from({ length: side }, (_, index) => fround(fround(index / side) * rotaryGrid));
  const angles = new Float32Array(side * side * half);
  for (let row = 0; row < side; row++)
    for (let column = 0; column < side; column++)
      for (let pair = 0; pair < half; pair++) {
        const position = positions[pair < pairs ? row : column]!;
        angles[(row * side + column) * half + pair] = position * frequencies[pair % pairs]!;
      }
  return angles;
}

/** Tables for the tokens of a square grid. The class token comes first and is not turned. */
export function rotaryTables(
  { width, heads, rotaryGrid }: Pick<Eva02Architecture, 'width' | 'heads' | 'rotaryGrid'>,
  side: number,
): RotaryTables {
  const pairs = width / heads / 2;
  const angles = rotaryAngles(side, 2 * pairs, rotaryGrid);
  const shape = [1 + side * side, pairs];
  const cosine = new Float32Array(angles.length + pairs).fill(1, 0, pairs);
  const sine = new Float32Array(angles.length + pairs);
  angles.forEach((angle, index) => {
    cosine[pairs + index] = Math.cos(angle);
    sine[pairs + index] = Math.sin(angle);
  });
  return { rotaryCosine: { shape, data: cosine }, rotarySine: { shape, data: sine } };
}

/** What turns projected queries or keys of a batch, `[B, tokens, width]`, by the places of their tokens. */
export function rotation({ width, heads }: Eva02Architecture, batch: ImageBatch): (x: Value) => Value {
  const [cosine, sine] = ['rotaryCosine', 'rotarySine'].map(name =>
    Value.input(name, [tokenCount(batch), width / heads / 2]),
  ) as [Value, Value];
  return x => turnPairs(x, cosine, sine);
}
