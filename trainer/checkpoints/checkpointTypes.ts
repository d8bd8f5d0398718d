import type { HostTensor, TensorType } from './hostTensor.ts';

/** What is known of a tensor before it is read. */
export interface TensorDescription {
  readonly shape: readonly number[];
  readonly dtype: TensorType;
}

/** What a checkpoint holds, without its numbers. */
export interface CheckpointHeader {
  /** Path for messages: the weights file, or the index of several. */
  readonly file: string;
  readonly tensors: ReadonlyMap<string, TensorDescription>;
  /** Texts that the writer attached. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface TensorReadOptions {
  /** Converts float64, float16 and bfloat16 to float32; integers stay. */
  asFloat32?: boolean;
}

/** An open checkpoint of any packaging. Tensors are read from the file one by one; dispose of it when done. */
export interface Checkpoint extends CheckpointHeader {
  readonly packaging: 'safetensors' | 'PyTorch' | 'TorchScript';
  /** The files that hold the numbers. */
  readonly files: readonly string[];
  /**
   * @throws FileError when the file cannot be read; a plain error when there is no such tensor.
   */
  read(name: string, options?: TensorReadOptions): Promise<HostTensor>;
  dispose(): Promise<void>;
}
