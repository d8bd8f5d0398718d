import type { Tensor } from 'onnxruntime-node';
import { formatShape, type Shape } from '../../graph/shape.ts';
import type { DataType, TensorType } from '../../graph/value.ts';
import { byteLengthOf, type DeviceTensor } from '../engine.ts';

/** Tensors not disposed of, and what they hold. */
export interface Tally {
  tensors: number;
  bytes: number;
}

/** A tensor in a buffer of the card, or on its way there. */
export class WebGpuTensor implements DeviceTensor {
  readonly shape: Shape;
  readonly dtype: DataType;
  #handle: Promise<Tensor> | null;
  readonly #tally: Tally;

  constructor(type: TensorType, handle: Promise<Tensor>, tally: Tally) {
    this.shape = type.shape;
    this.dtype = type.dtype;
    this.#handle = handle;
    this.#tally = tally;
    tally.tensors++;
    tally.bytes += byteLengthOf(this);
    // Whoever runs a program on the tensor is told; without one nobody needs to know.
    handle.catch(() => undefined);
  }

  get handle(): Promise<Tensor> {
    if (!this.#handle) throw new Error(`a disposed tensor of shape ${formatShape(this.shape)} was used`);
    return this.#handle;
  }

  dispose(): void {
    const { handle } = this;
    this.#handle = null;
    this.#tally.tensors--;
    this.#tally.bytes -= byteLengthOf(this);
    void handle.then(
      tensor => tensor.dispose(),
      () => undefined,
    );
  }
}
