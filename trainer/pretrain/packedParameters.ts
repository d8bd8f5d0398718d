import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { decaysWeight } from '../distill/optimiser.ts';
import { concat, reshape, slice } from '../graph/operations/layout.ts';
import { type Shape, sizeOf } from '../graph/shape.ts';
import type { Value } from '../graph/value.ts';
import { logitScaleName } from './contrastiveLoss.ts';

/** Parameters that lie in one tensor, one after another. */
export interface Pack {
  /** Of the tensor: decides, with its shape, whether AdamW decays it. */
  readonly name: string;
  readonly shape: Shape;
  readonly members: readonly PackMember[];
}

interface PackMember {
  /** As checkpoints have it. */
  readonly name: string;
  readonly shape: Shape;
  /** First element within the pack. */
  readonly start: number;
}

/**
 * Parameters as three tensors: those that decay, those that do not, and the temperature. On a graphics card an operation of
 * a small model costs more to start than to compute: clipping and AdamW take a few of them, not a few for each parameter.
 */
export function packParameters(shapes: ReadonlyMap<string, Shape>): Pack[] {
  const members = { matrices: [] as PackMember[], vectors: [] as PackMember[] };
  const lengths = { matrices: 0, vectors: 0 };
  for (const [name, shape] of shapes) {
    if (name === logitScaleName) continue;
    const kind = decaysWeight(name, shape) ? 'matrices' : 'vectors';
    members[kind].push({ name, shape, start: lengths[kind] });
    lengths[kind] += sizeOf(shape);
  }
  return [
    { name: 'matrices', shape: [lengths.matrices, 1], members: members.matrices },
    { name: 'vectors', shape: [lengths.vectors], members: members.vectors },
    { name: logitScaleName, shape: [], members: [{ name: logitScaleName, shape: [], start: 0 }] },
  ];
}

/** The members of a pack as graph values, by name. */
export const unpacked = ({ members }: Pack, packed: Value): [name: string, value: Value][] =>
  members.map(({ name, shape, start }) => [
    name,
    packed.shape.length === 0 ? packed : reshape(slice(packed, 0, start, start + sizeOf(shape)), shape),
  ]);

/** Graph values of the shapes of a pack's members, packed as they are. */
export function packed({ shape, members }: Pack, values: ReadonlyMap<string, Value>): Value {
  const flat = members.map(({ name }) => reshape(values.get(name)!, [sizeOf(values.get(name)!.shape)]));
  return reshape(flat.length === 1 ? flat[0]! : concat(flat, 0), shape);
}

/** Numbers of a pack's members as one array. */
export function packNumbers(
  { shape, members }: Pack,
  numbersOf: (name: string, shape: Shape) => Float32Array,
): Float32Array {
  const data = new Float32Array(sizeOf(shape));
  for (const member of members) data.set(numbersOf(member.name, member.shape), member.start);
  return data;
}

/** The members of a pack as tensors of their own, under their names. */
export const unpackNumbers = ({ members }: Pack, data: Float32Array): [name: string, tensor: HostTensor][] =>
  members.map(({ name, shape, start }) => [
    name,
    { shape, dtype: 'float32', data: data.slice(start, start + sizeOf(shape)) },
  ]);
