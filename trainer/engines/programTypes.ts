import { formatShape, sameShape } from '../graph/shape.ts';
import { inputsOf, type Outputs } from '../graph/split.ts';
import type { DataType, TensorType, Value } from '../graph/value.ts';
import type { DeviceTensor, Feeds, HostData } from './engine.ts';

const typeFor = ({ shape, dtype }: Value): TensorType => ({ shape, dtype });

/** What a program of these outputs takes, by name. Throws when two inputs share a name. */
export function inputTypes(outputs: Outputs): Record<string, TensorType> {
  const types: Record<string, TensorType> = {};
  for (const value of inputsOf(Object.values(outputs))) {
    if (Object.hasOwn(types, value.name!)) throw new Error(`two inputs are called '${value.name}'`);
    types[value.name!] = typeFor(value);
  }
  return types;
}

/** What it gives, by name. */
export const outputTypes = (outputs: Outputs): Record<string, TensorType> =>
  Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, typeFor(value)]));

/** What a program takes and gives; inputs whose numbers it already has are not fed. */
export function programTypes(
  outputs: Outputs,
  constants: Feeds,
): { inputs: Record<string, TensorType>; outputs: Record<string, TensorType> } {
  const fed = Object.entries(inputTypes(outputs)).filter(([name, type]) => {
    const constant = constants[name];
    if (constant) requireFeed(name, type, constant);
    return !constant;
  });
  return { inputs: Object.fromEntries(fed), outputs: outputTypes(outputs) };
}

/** Throws when a feed is missing, misshapen or of another type. */
export function requireFeed(name: string, type: TensorType, feed: DeviceTensor | undefined): DeviceTensor {
  if (!feed) throw new Error(`the program's input '${name}' was not fed`);
  if (feed.dtype !== type.dtype || !sameShape(feed.shape, type.shape))
    throw new Error(
      `the program's input '${name}' takes ${type.dtype} ${formatShape(type.shape)}, ` +
        `got ${feed.dtype} ${formatShape(feed.shape)}`,
    );
  return feed;
}

/** The type of a tensor that is uploaded from `data`. */
export function typeOf(data: HostData): DataType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Uint16Array) return 'float16';
  return data instanceof Int32Array ? 'int32' : 'bool';
}
