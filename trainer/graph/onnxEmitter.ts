import type { DataType } from './value.ts';

/** An attribute of an ONNX node; the format keeps integers and floats apart. */
export type OnnxAttribute =
  | { int: number }
  | { float: number }
  | { ints: readonly number[] }
  | { string: string };

/** What an operation sees of the ONNX model it is lowered into; tensors go by name. */
export interface OnnxEmitter {
  /** Whether this machine's processor will run the model; one for a file stays as plain as it can be. */
  readonly forProcessor: boolean;
  /**
   * Whether the first axis of a tensor may be any multiple of the length it has in the graph: no constant is made of
   * that length then.
   */
  isOpen(name: string): boolean;
  /** Adds a node with one output; returns the output's name (`output`, or a fresh one). ONNX's own operators without a domain. */
  node(
    type: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, OnnxAttribute>>,
    output?: string,
    domain?: string,
  ): string;
  /** An int64 vector as a constant: shapes, axes, bounds. */
  integers(values: readonly number[]): string;
  /** A scalar constant, float32 unless told otherwise. */
  scalar(value: number, dtype?: DataType): string;
  /** A tensor filled with one number, float32 unless told otherwise. */
  filled(value: number, shape: readonly number[], dtype?: DataType): string;
}
