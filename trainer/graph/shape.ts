/** Sizes of a tensor's axes, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/** A graph was built from shapes that do not fit; the message names the operation and every shape involved. */
export class ShapeError extends Error {
  constructor(operation: string, reason: string, ...shapes: Shape[]) {
    super(`${operation}: ${reason} (${shapes.map(formatShape).join(' and ')})`);
    this.name = 'ShapeError';
  }
}

export const formatShape = (shape: Shape): string => `[${shape.join(', ')}]`;

export const sizeOf = (shape: Shape): number => shape.reduce((product, length) => product * length, 1);

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((length, axis) => length === b[axis]);

/** NumPy's rule: align at the last axis; lengths agree or one of them is 1. */
export function broadcastShapes(operation: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1)
      throw new ShapeError(operation, 'shapes do not broadcast', a, b);
    return left === 1 ? right : left;
  });
}

/** Counts negative axes from the end; throws when out of range. */
export function normaliseAxis(operation: string, axis: number, shape: Shape): number {
  const normalised = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(axis) || normalised < 0 || normalised >= shape.length)
    throw new ShapeError(operation, `axis ${axis} does not exist`, shape);
  return normalised;
}
