import { type Shape, sizeOf } from '../../trainer/graph/shape.ts';

/** A row-major tensor in double precision: what the graph's results are compared with. */
export interface DoubleTensor {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** One coordinate for each axis. */
export type Index = readonly number[];

/** A tensor of `shape` whose element at each index is `element(index)`. */
export function tabulate(shape: Shape, element: (index: Index) => number): DoubleTensor {
  const data = new Float64Array(sizeOf(shape));
  const index = shape.map(() => 0);
  for (let position = 0; position < data.length; position++) {
    data[position] = element(index);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; axis--) index[axis] = 0;
  }
  return { shape, data };
}

/** The element at `index`; leading axes that the tensor lacks are ignored and axes of length 1 repeat. */
export function at({ shape, data }: DoubleTensor, index: Index): number {
  const leading = index.length - shape.length;
  let position = 0;
  shape.forEach((length, axis) => {
    position = position * length + (length === 1 ? 0 : index[leading + axis]!);
  });
  return data[position]!;
}

/** Σ a·b over all elements. */
export function dot(a: DoubleTensor, b: DoubleTensor): number {
  return a.data.reduce((sum, value, index) => sum + value * b.data[index]!, 0);
}

/** Derivatives of `loss` by every element of `tensor`, by central differences in double precision. */
export function centralDifferences(
  tensor: DoubleTensor,
  loss: (changed: DoubleTensor) => number,
  step = 1e-5,
): DoubleTensor {
  const changed = { shape: tensor.shape, data: tensor.data.slice() };
  const data = tensor.data.map((value, index) => {
    changed.data[index] = value + step;
    const above = loss(changed);
    changed.data[index] = value - step;
    const below = loss(changed);
    changed.data[index] = value;
    return (above - below) / (2 * step);
  });
  return { shape: tensor.shape, data };
}
