/** A tensor of TensorFlow.js, as far as a lowering looks into it. */
export interface TfjsTensor {
  readonly shape: readonly number[];
}

export type TfjsAttribute = number | boolean | string | readonly number[] | readonly (readonly number[])[];

/** What an operation sees of TensorFlow.js: its kernels, by the names under which backends register them. */
export interface TfjsEmitter {
  /** Runs a kernel with one result. Whatever a lowering makes on its way is disposed of behind it. */
  kernel(
    name: string,
    inputs: Readonly<Record<string, TfjsTensor>> | readonly TfjsTensor[],
    attributes?: Readonly<Record<string, TfjsAttribute>>,
  ): TfjsTensor;
  /** A float32 scalar constant. */
  scalar(value: number): TfjsTensor;
}
