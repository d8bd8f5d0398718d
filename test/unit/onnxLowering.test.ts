import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import protobuf from 'protobufjs';
import { lowerToOnnx, onnxOpset } from '../../trainer/engines/onnx/lower.ts';
import { add, divide, multiply } from '../../trainer/graph/operations/arithmetic.ts';
import { gatherRows, scatterAddRows } from '../../trainer/graph/operations/gather.ts';
import { reshape, slice, transpose } from '../../trainer/graph/operations/layout.ts';
import { layerNorm } from '../../trainer/graph/operations/normalisation.ts';
import { matmul } from '../../trainer/graph/operations/product.ts';
import { sum } from '../../trainer/graph/operations/reduction.ts';
import type { Outputs } from '../../trainer/graph/split.ts';
import { Value } from '../../trainer/graph/value.ts';

/** The published field numbers of onnx.proto (IR version 9), written down apart from the trainer's own. */
const published = protobuf.parse(`
syntax = "proto2";
message Attribute {
  optional string name = 1; optional float f = 2; optional int64 i = 3; optional bytes s = 4;
  repeated float floats = 7; repeated int64 ints = 8; optional int32 type = 20;
}
message Node {
  repeated string input = 1; repeated string output = 2; optional string name = 3; optional string op_type = 4;
  repeated Attribute attribute = 5; optional string domain = 7;
}
message Tensor {
  repeated int64 dims = 1; optional int32 data_type = 2; repeated float float_data = 4 [packed = true];
  repeated int64 int64_data = 7 [packed = true]; optional string name = 8; optional bytes raw_data = 9;
}
message Dimension { optional int64 dim_value = 1; optional string dim_param = 2; }
message Shape { repeated Dimension dim = 1; }
message TensorType { optional int32 elem_type = 1; optional Shape shape = 2; }
message Type { optional TensorType tensor_type = 1; }
message ValueInfo { optional string name = 1; optional Type type = 2; }
message Graph {
  repeated Node node = 1; optional string name = 2; repeated Tensor initializer = 5;
  repeated ValueInfo input = 11; repeated ValueInfo output = 12;
}
message OperatorSet { optional string domain = 1; optional int64 version = 2; }
message Model {
  optional int64 ir_version = 1; optional string producer_name = 2; optional Graph graph = 7;
  repeated OperatorSet opset_import = 8;
}`);
const modelType = published.root.lookupType('Model');

interface DecodedValue {
  name: string;
  type: { tensorType: { elemType: number; shape?: { dim?: { dimValue: number }[] } } };
}

interface DecodedNode {
  opType: string;
  input?: string[];
  output: string[];
  attribute?: { name: string; type: number; f?: number; i?: number; s?: string; ints?: number[] }[];
}

interface DecodedModel {
  irVersion: number;
  producerName: string;
  opsetImport: { domain?: string; version: number }[];
  graph: {
    node: DecodedNode[];
    initializer?: {
      name: string;
      dims?: number[];
      dataType: number;
      floatData?: number[];
      int64Data?: number[];
    }[];
    input?: DecodedValue[];
    output: DecodedValue[];
  };
}

const decode = (outputs: Outputs): DecodedModel =>
  modelType.toObject(modelType.decode(lowerToOnnx(outputs)), {
    longs: Number,
    bytes: String,
  }) as DecodedModel;

const types = (values: readonly DecodedValue[] = []): [string, number, number[]][] =>
  values.map(({ name, type: { tensorType } }) => {
    assert.ok(tensorType.shape, `${name} has a shape: without one ONNX takes any rank`);
    return [name, tensorType.elemType, (tensorType.shape.dim ?? []).map(({ dimValue }) => dimValue)];
  });

/** Name, type and the value in the field of that type; the format leaves out a number that is 0. */
function attributesOf(model: DecodedModel, opType: string): [string, number, unknown][] {
  const { attribute } = model.graph.node.find(node => node.opType === opType)!;
  return attribute!.map(({ name, type, f = 0, i = 0, s, ints }) => [
    name,
    type,
    { 1: f, 2: i, 3: s, 7: ints }[type],
  ]);
}

describe('ONNX lowering', () => {
  it('writes a model of the stated operator set', () => {
    const model = decode({ y: add(Value.input('x', [2]), Value.constant(1)) });
    assert.equal(model.opsetImport.length, 1);
    assert.equal(model.opsetImport[0]!.domain ?? '', '');
    assert.equal(model.opsetImport[0]!.version, 18);
    assert.equal(onnxOpset, 18);
    assert.equal(model.irVersion, 9);
    assert.equal(model.producerName, 'clipself');
  });

  it('keeps the names, types and shapes of inputs and marks outputs as results', () => {
    const table = Value.input('table', [5, 3]);
    const indices = Value.input('indices', [2], 'int32');
    const mask = Value.input('mask', [4], 'bool');
    const scale = Value.input('scale', []);
    const empty = Value.input('empty', [0, 3]);
    const model = decode({
      rows: multiply(gatherRows(table, indices), scale),
      mask: reshape(mask, [2, 2]),
      empty: reshape(empty, [3, 0]),
      scale,
    });
    assert.deepEqual(types(model.graph.input), [
      ['table', 1, [5, 3]],
      ['indices', 6, [2]],
      ['scale', 1, []],
      ['mask', 9, [4]],
      ['empty', 1, [0, 3]],
    ]);
    assert.deepEqual(types(model.graph.output), [
      ['result:rows', 1, [2, 3]],
      ['result:mask', 9, [2, 2]],
      ['result:empty', 1, [3, 0]],
      ['result:scale', 1, []],
    ]);
  });

  it('lists operands before results and names every tensor once', () => {
    const x = Value.input('x', [4, 6]);
    const { graph } = decode({
      y: sum(slice(matmul(x, x, { transposeA: true }), 0, 1, 4), [0]),
      z: transpose(x, [1, 0]),
    });
    const known = new Set([...graph.input!, ...graph.initializer!].map(({ name }) => name));
    for (const node of graph.node) {
      for (const name of node.input!) assert.ok(known.has(name), `${name} is used before it is there`);
      assert.equal(node.output.length, 1);
      assert.ok(!known.has(node.output[0]!));
      known.add(node.output[0]!);
    }
    for (const { name } of graph.output) assert.ok(known.has(name));
  });

  it('lowers a shared value once and copies only what has a name already', () => {
    const x = Value.input('x', [2]);
    const shared = add(x, Value.constant(1));
    const { graph } = decode({ y: multiply(shared, shared), z: shared, again: shared, handedThrough: x });
    assert.deepEqual(
      graph.node.map(({ opType, output }) => [opType, output[0]]),
      [
        ['Add', 'result:z'],
        ['Mul', 'result:y'],
        ['Identity', 'result:again'],
        ['Identity', 'result:handedThrough'],
      ],
    );
  });

  it('writes equal constants once, and 0 and −0 apart', () => {
    const x = Value.input('x', [2, 3]);
    const halves = add(multiply(x, Value.constant(0.5)), Value.constant(0.5));
    const filled = add(Value.constant(0.5, [2, 3]), Value.constant(7, [2, 3]));
    const zeros = divide(add(x, Value.constant(0)), Value.constant(-0));
    const { graph } = decode({ y: add(halves, filled), zeros, reshaped: reshape(x, [2, 3, 1]) });
    const floats = graph.initializer!.filter(({ dataType }) => dataType === 1);
    assert.deepEqual(
      new Set(floats.map(({ floatData, dims = [] }) => `${inspect(floatData)} as [${dims}]`)),
      new Set(['[ 0.5 ] as []', '[ 7 ] as []', '[ 0 ] as []', '[ -0 ] as []']),
    );
    assert.equal(floats.length, 4);
    const integers = graph.initializer!.filter(({ dataType }) => dataType === 7);
    assert.deepEqual(
      integers.map(({ int64Data, dims }) => [int64Data, dims]),
      [
        [[2, 3], [2]],
        [[2, 3, 1], [3]],
      ],
    );
  });

  it('writes attributes in the field of their type', () => {
    const x = Value.input('x', [3, 2]);
    const [scale, shift] = [Value.input('scale', [2]), Value.input('shift', [2])];
    const rows = scatterAddRows(layerNorm(x, scale, shift, 0.25), Value.input('indices', [3], 'int32'), 4);
    const model = decode({ y: transpose(matmul(rows, rows, { transposeB: true }), [1, 0]) });
    assert.deepEqual(attributesOf(model, 'LayerNormalization'), [
      ['axis', 2, -1],
      ['epsilon', 1, 0.25],
    ]);
    assert.deepEqual(attributesOf(model, 'ScatterElements'), [
      ['axis', 2, 0],
      ['reduction', 3, Buffer.from('add').toString('base64')],
    ]);
    assert.deepEqual(attributesOf(model, 'Transpose'), [['perm', 7, [1, 0]]]);
    assert.deepEqual(attributesOf(model, 'Gemm'), [
      ['transA', 2, 0],
      ['transB', 2, 1],
    ]);
  });
});
