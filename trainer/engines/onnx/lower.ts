import { toFloat16 } from '../../float16.ts';
import type { OnnxAttribute, OnnxEmitter } from '../../graph/onnxEmitter.ts';
import { onnxTypes } from '../../graph/onnxTypes.ts';
import type { Outputs } from '../../graph/split.ts';
import { type DataType, topologicalOrder, type Value } from '../../graph/value.ts';
import {
  encodeOnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValueInfo,
  onnxAttributeTypes,
} from './schema.ts';
import { unreadDescription, unreadNode } from './unreadOutput.ts';

/** First operator set with ScatterElements' sum and with LayerNormalization. */
export const onnxOpset = 18;

/** ONNX names inputs and outputs in one space; ours are apart (an update takes and gives `parameter`). */
export const onnxOutputName = (name: string): string => `result:${name}`;

/** Where the numbers of an input lie that is a constant of the model: in another file beside it. */
export interface ExternalNumbers {
  /** Name of the file, without a folder. */
  location: string;
  /** First byte and number of bytes. */
  offset: number;
  length: number;
}

export interface LoweringOptions {
  /** Inputs that become float32 constants. */
  external?: ReadonlyMap<string, ExternalNumbers>;
  /** What an output is called; `onnxOutputName` without it. */
  outputName?: (name: string) => string;
  /** An input of a graph made for one image that takes any number of them, see `rowsCanOpen`. */
  openInput?: string | null;
  /** Lowers for the caches of a processor: same numbers, more nodes. */
  forProcessor?: boolean;
  /** Puts an output before the others after which onnxruntime-node reads none, see `unreadOutput.ts`. */
  unread?: boolean;
}

/** Lowers a graph to an ONNX model whose inputs keep their names and whose outputs go by `onnxOutputName`. */
export function lowerToOnnx(
  outputs: Outputs,
  {
    external = new Map(),
    outputName = onnxOutputName,
    openInput = null,
    forProcessor = false,
    unread = false,
  }: LoweringOptions = {},
): Uint8Array {
  const nodes = new NodeList(forProcessor);
  const names = new Map<Value, string>();
  const inputs: OnnxValueInfo[] = [];
  const resultNames = firstResultNames(outputs, outputName);
  for (const value of topologicalOrder(Object.values(outputs))) {
    if (value.name !== null) {
      names.set(value, value.name);
      const numbers = external.get(value.name);
      if (value.name === openInput) nodes.open(value.name);
      if (numbers) nodes.constants.push(externalTensor(value.name, value, numbers));
      else inputs.push(nodes.describe(value.name, value));
    } else if (value.constant !== null)
      names.set(value, nodes.filled(value.constant, value.shape, value.dtype));
    else {
      const output = resultNames.get(value) ?? nodes.freshName();
      names.set(value, output);
      const operands = value.inputs.map(input => names.get(input)!);
      value.operation!.onnx(nodes, value, value.attributes, operands, output);
    }
  }
  const results = Object.entries(outputs).map(([name, value]) => {
    const output = outputName(name);
    if (names.get(value) !== output) nodes.node('Identity', [names.get(value)!], {}, output);
    return nodes.describe(output, value);
  });
  if (unread) {
    nodes.nodes.push(unreadNode);
    results.unshift(unreadDescription);
  }
  const graph = { node: nodes.nodes, initializer: nodes.constants, input: inputs, output: results };
  return encodeOnnxModel(graph, onnxOpset);
}

/** A model that gives back its input `x`, of one type and any shape, as `y`. */
export const identityModel = (dtype: DataType): Uint8Array => {
  const described = (name: string): OnnxValueInfo => ({ name, elementType: onnxTypes[dtype], shape: null });
  const node = { opType: 'Identity', name: 'identity', input: ['x'], output: ['y'], attribute: [] };
  const graph = { node: [node], initializer: [], input: [described('x')], output: [described('y')] };
  return encodeOnnxModel(graph, onnxOpset);
};

/** A computed result is written under its output's name at once; a copy would cost a pass over it. */
function firstResultNames(outputs: Outputs, outputName: (name: string) => string): Map<Value, string> {
  const names = new Map<Value, string>();
  for (const [name, value] of Object.entries(outputs))
    if (value.operation && !names.has(value)) names.set(value, outputName(name));
  return names;
}

const externalTensor = (
  name: string,
  value: Value,
  { location, offset, length }: ExternalNumbers,
): OnnxTensor => ({
  name,
  dims: value.shape,
  dataType: onnxTypes[value.dtype],
  dataLocation: 1,
  externalData: [
    { key: 'location', value: location },
    { key: 'offset', value: String(offset) },
    { key: 'length', value: String(length) },
  ],
});

class NodeList implements OnnxEmitter {
  readonly nodes: OnnxNode[] = [];
  readonly constants: OnnxTensor[] = [];
  readonly forProcessor: boolean;
  #count = 0;
  readonly #known = new Map<string, string>();
  readonly #open = new Set<string>();

  constructor(forProcessor: boolean) {
    this.forProcessor = forProcessor;
  }

  open(name: string): void {
    this.#open.add(name);
  }

  isOpen(name: string): boolean {
    return this.#open.has(name);
  }

  describe(name: string, { shape, dtype }: Value): OnnxValueInfo {
    const lengths = this.isOpen(name) ? [null, ...shape.slice(1)] : shape;
    return { name, elementType: onnxTypes[dtype], shape: lengths };
  }

  freshName(): string {
    return `value:${this.#count++}`;
  }

  node(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    output = this.freshName(),
    domain?: string,
  ): string {
    const attribute = Object.entries(attributes).map(([name, value]) => encodeAttribute(name, value));
    this.nodes.push({
      opType: type,
      name: `${type}:${this.nodes.length}`,
      input: inputs,
      output: [output],
      attribute,
      ...(domain ? { domain } : {}),
    });
    if (inputs.some(input => this.isOpen(input))) this.open(output);
    return output;
  }

  integers(values: readonly number[]): string {
    return this.#constant(`integers ${values}`, {
      dims: [values.length],
      dataType: onnxTypes.int64,
      int64Data: values,
    });
  }

  scalar(value: number, dtype: DataType = 'float32'): string {
    // As text, −0 would pass for 0.
    const key = `scalar ${dtype} ${Object.is(value, -0) ? '-0' : value}`;
    const number =
      dtype === 'float16' ? { int32Data: [...toFloat16(Float32Array.of(value))] } : { floatData: [value] };
    return this.#constant(key, { dims: [], dataType: onnxTypes[dtype], ...number });
  }

  filled(value: number, shape: readonly number[], dtype: DataType = 'float32'): string {
    const scalar = this.scalar(value, dtype);
    return shape.length === 0 ? scalar : this.node('Expand', [scalar, this.integers(shape)]);
  }

  #constant(key: string, tensor: Omit<OnnxTensor, 'name'>): string {
    const known = this.#known.get(key);
    if (known) return known;
    const name = `constant:${this.constants.length}`;
    this.constants.push({ name, ...tensor });
    this.#known.set(key, name);
    return name;
  }
}

function encodeAttribute(name: string, value: OnnxAttribute): object {
  if ('int' in value) return { name, type: onnxAttributeTypes.int, i: value.int };
  if ('float' in value) return { name, type: onnxAttributeTypes.float, f: value.float };
  if ('string' in value)
    return { name, type: onnxAttributeTypes.string, s: new TextEncoder().encode(value.string) };
  return { name, type: onnxAttributeTypes.ints, ints: value.ints };
}
