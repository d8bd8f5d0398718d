import { concat, slice } from '../graph/operations/layout.ts';
import { inputsOf, type Outputs, substitute } from '../graph/split.ts';
import { Value } from '../graph/value.ts';
import { type AdamWSettings, adamWUpdate } from './optimiser.ts';

/** Names an input or output of one parameter where several are updated together. */
export const inputName = (index: number, name: string): string => `${index}/${name}`;

const packs = ['parameter', 'gradient', 'firstMoment', 'secondMoment'];
const results = ['parameter', 'firstMoment', 'secondMoment'];

/**
 * `adamWUpdate` of several vectors, to the same numbers, as one of all of them in a row: biases and norms are two thirds
 * of a transformer's parameters and next to none of its numbers, and on a graphics card each operation costs more to
 * start than to compute.
 *
 * Inputs and outputs of vector i of the given length are those of `adamWUpdate` under `inputName(i, …)`; the scalars and
 * `squaredNorm`, of all, keep their names.
 */
export function adamWUpdateOfVectors(
  lengths: readonly number[],
  settings: AdamWSettings,
  scaled: boolean,
): Outputs {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const update = adamWUpdate([total], settings, false, scaled);
  const pack = (name: string): Value => {
    const members = lengths.map((length, index) => Value.input(inputName(index, name), [length]));
    return members.length === 1 ? members[0]! : concat(members, 0);
  };
  const packed = inputsOf(Object.values(update))
    .filter(({ name }) => packs.includes(name!))
    .map(input => [input, pack(input.name!)] as const);
  const whole = substitute(update, new Map(packed)) as Record<string, Value>;
  const outputs: Record<string, Value> = { squaredNorm: whole.squaredNorm! };
  let start = 0;
  for (const [index, length] of lengths.entries()) {
    for (const name of results)
      outputs[inputName(index, name)] = slice(whole[name]!, 0, start, start + length);
    start += length;
  }
  return outputs;
}
