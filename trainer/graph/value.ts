import type { OnnxEmitter } from './onnxEmitter.ts';
import { formatShape, type Shape, sizeOf } from './shape.ts';
import type { TfjsEmitter, TfjsTensor } from './tfjsEmitter.ts';

/** `float16` appears in programs of half precision alone, see `halfPrecision.ts`. */
export type DataType = 'float32' | 'float16' | 'int32' | 'bool';

export type FloatType = Extract<DataType, 'float32' | 'float16'>;

export const isFloat = (dtype: DataType): dtype is FloatType => dtype === 'float32' || dtype === 'float16';

/** What is known of a value before anything runs. */
export interface TensorType {
  shape: Shape;
  dtype: DataType;
}

/**
 * One primitive of the graph: its shape rule, its gradient rule and its lowerings stand together. An engine that
 * speaks another language than ONNX or TensorFlow.js adds its own lowering here.
 */
export interface Operation<Attributes> {
  readonly name: string;
  /**
   * How a backward pass gets the result back: `keep` saves it (matrix products, softmax), `recompute` derives it
   * again from the operands (element-wise and layout operations, which cost less than the memory), `keepWhenAmple`
   * saves it where memory is no concern (attention weights, which grow with the square of the tokens).
   */
  readonly backward: 'keep' | 'keepWhenAmple' | 'recompute';
  /** Type of the result; throws `ShapeError` when the operands do not fit. */
  type(inputs: readonly Value[], attributes: Attributes): TensorType;
  /** Gradient of a scalar with respect to each input, given that of the output; null where there is none. */
  gradient(value: Value, upstream: Value, attributes: Attributes): readonly (Value | null)[];
  /** Emits nodes that compute `output` from the named inputs. */
  onnx(
    emit: OnnxEmitter,
    value: Value,
    attributes: Attributes,
    inputs: readonly string[],
    output: string,
  ): void;
  /** Computes the result with kernels of TensorFlow.js. */
  tfjs(emit: TfjsEmitter, value: Value, attributes: Attributes, inputs: readonly TfjsTensor[]): TfjsTensor;
}

/** A node of the symbolic graph. Immutable; two values are the same only if they are the same object. */
export class Value {
  readonly operation: Operation<unknown> | null;
  readonly attributes: unknown;
  readonly inputs: readonly Value[];
  readonly shape: Shape;
  readonly dtype: DataType;
  /** Name of an input, null for computed values. */
  readonly name: string | null;
  /** The number of a constant, null for everything else. */
  readonly constant: number | null;

  private constructor(
    type: TensorType,
    origin: Partial<Pick<Value, 'operation' | 'attributes' | 'inputs' | 'name' | 'constant'>>,
  ) {
    for (const length of type.shape)
      if (!Number.isInteger(length) || length < 0)
        throw new RangeError(
          `${origin.operation?.name ?? origin.name ?? 'constant'}: ` +
            `shape ${formatShape(type.shape)} holds a length that is no count`,
        );
    this.shape = type.shape;
    this.dtype = type.dtype;
    this.operation = origin.operation ?? null;
    this.attributes = origin.attributes;
    this.inputs = origin.inputs ?? [];
    this.name = origin.name ?? null;
    this.constant = origin.constant ?? null;
  }

  /** A tensor that is fed at run time under `name`. */
  static input(name: string, shape: Shape, dtype: DataType = 'float32'): Value {
    return new Value({ shape, dtype }, { name });
  }

  /** A scalar, or a tensor filled with it. */
  static constant(constant: number, shape: Shape = [], dtype: FloatType = 'float32'): Value {
    return new Value({ shape, dtype }, { constant });
  }

  static apply<Attributes>(
    operation: Operation<Attributes>,
    inputs: readonly Value[],
    attributes: Attributes,
  ): Value {
    const type = operation.type(inputs, attributes);
    return new Value(type, { operation: operation as Operation<unknown>, inputs, attributes });
  }

  get size(): number {
    return sizeOf(this.shape);
  }
}

/**
 * The one floating-point type of the operands.
 *
 * @throws TypeError when they are anything else, or differ.
 */
export function requireFloat(operation: string, inputs: readonly Value[]): FloatType {
  const { dtype } = inputs[0]!;
  if (isFloat(dtype) && inputs.every(input => input.dtype === dtype)) return dtype;
  throw new TypeError(`${operation}: takes float32, got ${inputs.map(value => value.dtype).join(' and ')}`);
}

/** Every value that `roots` depend on, operands before results. Iterative: graphs are deep. */
export function topologicalOrder(roots: Iterable<Value>): Value[] {
  const order: Value[] = [];
  const visited = new Set<Value>();
  const stack: { value: Value; next: number }[] = [];
  const enter = (value: Value): void => {
    if (visited.has(value)) return;
    visited.add(value);
    stack.push({ value, next: 0 });
  };
  for (const root of roots) {
    enter(root);
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const operand = top.value.inputs[top.next++];
      if (operand) enter(operand);
      else {
        order.push(top.value);
        stack.pop();
      }
    }
  }
  return order;
}
