import { ShapeError, sameShape } from '../shape.ts';
import { type Operation, requireFloat, Value } from '../value.ts';

const gatherRowsOperation: Operation<null> = {
  name: 'gatherRows',
  backward: 'recompute',
  type([table, indices]) {
    if (table!.shape.length !== 2 || indices!.shape.length !== 1 || indices!.dtype !== 'int32')
      throw new ShapeError(
        'gatherRows',
        'takes a table of rank 2 and int32 indices of rank 1',
        table!.shape,
        indices!.shape,
      );
    const dtype = requireFloat('gatherRows', [table!]);
    return { shape: [indices!.shape[0]!, table!.shape[1]!], dtype };
  },
  gradient(value, upstream) {
    const [table, indices] = value.inputs as [Value, Value];
    return [scatterAddRows(upstream, indices, table.shape[0]!), null];
  },
  onnx: (emit, _value, _attributes, inputs, output) => {
    emit.node('Gather', inputs, { axis: { int: 0 } }, output);
  },
  tfjs: (emit, _value, _attributes, [x, indices]) =>
    emit.kernel('GatherV2', { x: x!, indices: indices! }, { axis: 0, batchDims: 0 }),
};

/** Rows `table[indices[i]]`: `[rows, width]`, int32 `[n]` → `[n, width]`. Token embeddings, end-of-text rows. */
export const gatherRows = (table: Value, indices: Value): Value =>
  Value.apply(gatherRowsOperation, [table, indices], null);

const scatterAddRowsOperation: Operation<{ rows: number }> = {
  name: 'scatterAddRows',
  backward: 'recompute',
  type([updates, indices], { rows }) {
    const fits = updates!.shape.length === 2 && sameShape(indices!.shape, [updates!.shape[0]!]);
    if (!fits || indices!.dtype !== 'int32')
      throw new ShapeError(
        'scatterAddRows',
        'takes updates of rank 2 and one int32 index a row',
        updates!.shape,
        indices!.shape,
      );
    const dtype = requireFloat('scatterAddRows', [updates!]);
    return { shape: [rows, updates!.shape[1]!], dtype };
  },
  gradient: (value, upstream) => [gatherRows(upstream, value.inputs[1]!), null],
  onnx: (emit, value, _attributes, [updates, indices], output) => {
    const [rows, width] = value.shape as [number, number];
    const count = value.inputs[0]!.shape[0]!;
    const zeros = emit.node('Expand', [emit.scalar(0, value.dtype), emit.integers([rows, width])]);
    const column = emit.node('Reshape', [indices!, emit.integers([count, 1])]);
    const wide = emit.node('Expand', [column, emit.integers([count, width])]);
    const attributes = { axis: { int: 0 }, reduction: { string: 'add' } };
    emit.node('ScatterElements', [zeros, wide, updates!], attributes, output);
  },
  tfjs: (emit, _value, { rows }, [x, segmentIds]) =>
    emit.kernel('UnsortedSegmentSum', { x: x!, segmentIds: segmentIds! }, { numSegments: rows }),
};

/** Adds row i of `updates` to row `indices[i]` of zeros `[rows, width]`: the gradient of `gatherRows`. */
export const scatterAddRows = (updates: Value, indices: Value, rows: number): Value =>
  Value.apply(scatterAddRowsOperation, [updates, indices], { rows });
