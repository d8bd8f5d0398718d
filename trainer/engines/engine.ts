import { type Shape, sizeOf } from '../graph/shape.ts';
import type { Outputs } from '../graph/split.ts';
import type { DataType, TensorType } from '../graph/value.ts';

/** Elements of a tensor on the host; bool as 0 and 1, float16 by its bits. */
export type HostData = Float32Array | Uint16Array | Int32Array | Uint8Array;

/** Arrays of the host by element type. */
export const arrayOf = {
  float32: Float32Array,
  float16: Uint16Array,
  int32: Int32Array,
  bool: Uint8Array,
} as const;

/** Bytes of an element. */
export const bytesOf = (dtype: DataType): number => arrayOf[dtype].BYTES_PER_ELEMENT;

/** Bytes of a tensor. */
export const byteLengthOf = ({ shape, dtype }: TensorType): number => bytesOf(dtype) * sizeOf(shape);

/**
 * A tensor where an engine keeps it: host memory for a CPU engine, a buffer of the card for a GPU engine.
 * Whoever holds it disposes of it, once.
 */
export interface DeviceTensor {
  readonly shape: Shape;
  readonly dtype: DataType;
  dispose(): void;
}

export type Feeds = Readonly<Record<string, DeviceTensor>>;

/** A compiled graph. Feeds stay with the caller; results belong to the caller. */
export interface Program {
  readonly inputs: Readonly<Record<string, TensorType>>;
  readonly outputs: Readonly<Record<string, TensorType>>;
  /** Runs after every run asked for before, never beside one. Throws when a feed is missing or misshapen. */
  run(feeds: Feeds): Promise<Record<string, DeviceTensor>>;
  /** Runs asked for before still finish. */
  dispose(): Promise<void>;
}

/** Where graphs run. Models and training know engines by this interface only. */
export interface Engine {
  readonly name: string;
  /** Library and version, for the record of a run. */
  readonly version: string;
  /** What whoever starts it should be told; left out where it is as expected. */
  readonly remark?: string;
  compile(outputs: Outputs): Promise<Program>;
  /**
   * Compiles a graph with inputs that never change, which a processor lays out once the way its products read them. They
   * are copied, and not fed. Left out where nothing is gained.
   *
   * @param openInput An input of a graph made for one image that takes any number of them, one after the other along
   * the first axis (`rowsCanOpen`); the result has as many. Null where the graph takes what it was made for.
   */
  compileFrozen?(outputs: Outputs, constants: Feeds, openInput: string | null): Promise<Program>;
  /** Copies host data to the device. */
  upload(shape: Shape, data: HostData): DeviceTensor;
  /** A copy of the tensor's elements on the host. */
  read(tensor: DeviceTensor): Promise<HostData>;
  /** Copies the elements of a float32 tensor into an array of their number; for engines that can do so in one copy. */
  readInto?(tensor: DeviceTensor, target: Float32Array): Promise<void>;
  /** Most bytes of one tensor, Infinity where it is not known; left out where memory alone bounds them. */
  largestTensorBytes?(): Promise<number>;
  /**
   * Bytes of a large intermediate result that are best made at a time: what stays in a processor's caches. Left out
   * where few large operations beat many small ones.
   */
  readonly pieceBytes?: number;
  /** Whether programs share the memory that is free, instead of each keeping its own. */
  readonly sharesMemory?: boolean;
  /** Tensors not disposed of, and the bytes they hold. */
  readonly live: { tensors: number; bytes: number };
  dispose(): Promise<void>;
}

/** Reads a float32 tensor. */
export async function readFloats(engine: Engine, tensor: DeviceTensor): Promise<Float32Array> {
  const data = await engine.read(tensor);
  if (!(data instanceof Float32Array)) throw new TypeError(`expected float32, got ${tensor.dtype}`);
  return data;
}

/** Reads a float32 scalar and disposes of it. */
export async function takeScalar(engine: Engine, tensor: DeviceTensor): Promise<number> {
  const [value] = await readFloats(engine, tensor);
  tensor.dispose();
  return value!;
}

export function disposeAll(tensors: Iterable<DeviceTensor> | Readonly<Record<string, DeviceTensor>>): void {
  for (const tensor of Symbol.iterator in tensors ? tensors : Object.values(tensors)) tensor.dispose();
}
