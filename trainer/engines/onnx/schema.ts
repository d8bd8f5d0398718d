import protobuf from 'protobufjs';

/** ONNX attribute types (AttributeProto.AttributeType). */
export const onnxAttributeTypes = { float: 1, int: 2, string: 3, ints: 7 } as const;

/**
 * The messages of onnx.proto that a model of float and integer tensors needs, with the field numbers of the
 * published schema (onnx/onnx, IR version 9).
 */
const schema = `
syntax = "proto3";
package onnx;
message AttributeProto { string name = 1; float f = 2; int64 i = 3; bytes s = 4; repeated int64 ints = 8; int32 type = 20; }
message NodeProto {
  repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
  repeated AttributeProto attribute = 5; string domain = 7;
}
message StringStringEntryProto { string key = 1; string value = 2; }
message TensorProto {
  repeated int64 dims = 1; int32 data_type = 2; repeated float float_data = 4; repeated int32 int32_data = 5; repeated int64 int64_data = 7; string name = 8;
  repeated StringStringEntryProto external_data = 13; int32 data_location = 14;
}
message TensorShapeProto { message Dimension { oneof value { int64 dim_value = 1; } } repeated Dimension dim = 1; }
message TypeProto {
  message Tensor { int32 elem_type = 1; TensorShapeProto shape = 2; }
  message Sequence { TypeProto elem_type = 1; }
  oneof value { Tensor tensor_type = 1; Sequence sequence_type = 4; }
}
message ValueInfoProto { string name = 1; TypeProto type = 2; }
message GraphProto {
  repeated NodeProto node = 1; string name = 2; repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12;
}
message OperatorSetIdProto { string domain = 1; int64 version = 2; }
message ModelProto {
  int64 ir_version = 1; string producer_name = 2; GraphProto graph = 7; repeated OperatorSetIdProto opset_import = 8;
}
`;

const modelType = protobuf.parse(schema).root.lookupType('onnx.ModelProto');

export interface OnnxNode {
  /** ONNX's own operators where it is left out. */
  domain?: string;
  input: readonly string[];
  output: readonly string[];
  name: string;
  opType: string;
  attribute: readonly object[];
}

export interface OnnxTensor {
  name: string;
  dims: readonly number[];
  dataType: number;
  floatData?: readonly number[];
  /** Bits of float16. */
  int32Data?: readonly number[];
  int64Data?: readonly number[];
  externalData?: readonly { key: string; value: string }[];
  /** 1 (TensorProto.DataLocation.EXTERNAL) when the numbers are in `externalData`. */
  dataLocation?: 1;
}

export interface OnnxValueInfo {
  name: string;
  elementType: number;
  /** Null where any shape will do; a length is null where any will. */
  shape: readonly (number | null)[] | null;
  /** A sequence of such tensors instead of one. */
  sequence?: boolean;
}

export interface OnnxGraph {
  node: readonly OnnxNode[];
  initializer: readonly OnnxTensor[];
  input: readonly OnnxValueInfo[];
  output: readonly OnnxValueInfo[];
}

const valueInfo = ({ name, elementType, shape, sequence }: OnnxValueInfo): object => {
  const tensorType = {
    elemType: elementType,
    ...(shape ? { shape: { dim: shape.map(length => (length === null ? {} : { dimValue: length })) } } : {}),
  };
  return { name, type: sequence ? { sequenceType: { elemType: { tensorType } } } : { tensorType } };
};

/** Serialises a graph of operator set `opset` as an ONNX model. */
export function encodeOnnxModel(graph: OnnxGraph, opset: number): Uint8Array {
  const domains = new Set(graph.node.flatMap(({ domain }) => domain ?? []));
  const model = {
    irVersion: 9,
    producerName: 'clipself',
    opsetImport: [{ domain: '', version: opset }, ...[...domains].map(domain => ({ domain, version: 1 }))],
    graph: {
      name: 'graph',
      node: graph.node,
      initializer: graph.initializer,
      input: graph.input.map(valueInfo),
      output: graph.output.map(valueInfo),
    },
  };
  return modelType.encode(modelType.fromObject(model)).finish();
}
