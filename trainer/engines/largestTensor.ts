import { formatShape } from '../graph/shape.ts';
import type { Outputs } from '../graph/split.ts';
import { topologicalOrder, type Value } from '../graph/value.ts';
import { byteLengthOf } from './engine.ts';

/** The largest tensor that a program makes or is fed; the likeliest not to fit. */
export const largestTensor = (outputs: Outputs): Value =>
  topologicalOrder(Object.values(outputs)).reduce((most, value) =>
    byteLengthOf(value) > byteLengthOf(most) ? value : most,
  );

/** `12.5 MiB` */
export const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** `tensor is 'matmul' [4, 8], 0.1 MiB`, to follow “the largest”. */
export const describeTensor = (value: Value): string =>
  `tensor is '${value.name ?? value.operation?.name ?? 'constant'}' ${formatShape(value.shape)}, ${mebibytes(byteLengthOf(value))}`;
