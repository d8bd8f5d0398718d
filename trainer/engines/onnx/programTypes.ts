import { formatShape, sameShape } from '../../graph/shape.ts';
import { inputsOf, type Outputs } from '../../graph/split.ts';
import type { DataType, TensorType } from '../../graph/value.ts';
import type { DeviceTensor, HostData } from '../engine.ts';

type Types = Readonly<Record<string, TensorType>>;

const typeFor = ({ shape, dtype }: TensorType): TensorType => ({ shape, dtype });

/** What a program of these outputs takes, by name. */
export const inputTypes = (outputs: Outputs): Types =>
  Object.fromEntries(inputsOf(Object.values(outputs)).map(value => [value.name!, typeFor(value)]));

/** What it gives, by name. */
export const outputTypes = (outputs: Outputs): Types =>
  Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, typeFor(value)]));

/** The tensor fed to an input; throws when it is missing or of another type or shape. */
export function requireFeed(name: string, type: TensorType, feed: DeviceTensor | undefined): DeviceTensor {
  if (!feed) throw new Error(`the program's input '${name}' was not fed`);
  if (feed.dtype !== type.dtype || !sameShape(feed.shape, type.shape))
    throw new Error(
      `the program's input '${name}' takes ${type.dtype} ${formatShape(type.shape)}, ` +
        `got ${feed.dtype} ${formatShape(feed.shape)}`,
    );
  return feed;
}

/** Element type of host data. */
export function typeOf(data: HostData): DataType {
  if (data instanceof Float32Array) return 'float32';
  return data instanceof Int32Array ? 'int32' : 'bool';
}
