import { InferenceSession, Tensor } from 'onnxruntime-node';
import { formatShape, type Shape, sizeOf } from '../../graph/shape.ts';
import type { Outputs } from '../../graph/split.ts';
import type { DataType, TensorType } from '../../graph/value.ts';
import {
  arrayOf,
  byteLengthOf,
  type DeviceTensor,
  type Engine,
  type Feeds,
  type HostData,
  type Program,
} from '../engine.ts';
import { EngineError } from '../engineError.ts';
import { describeTensor, largestTensor, mebibytes } from '../largestTensor.ts';
import { inputTypes, outputTypes, requireFeed, typeOf } from '../programTypes.ts';
import { SerialQueue } from '../serialQueue.ts';
import { identityModel, lowerToOnnx, onnxOutputName } from './lower.ts';
import { onnxRuntimeVersion } from './version.ts';
import { webGpuError } from './webGpuErrors.ts';
import { findLargestTensor } from './webGpuLimits.ts';
import { type Tally, WebGpuTensor } from './webGpuTensor.ts';

/** Copies between the host and the card since the engine started. */
export interface Transfers {
  uploads: number;
  uploadedBytes: number;
  downloads: number;
  downloadedBytes: number;
}

/** ONNX Runtime's levels: 0 says where every node runs, 3 errors alone. */
type LogLevel = 0 | 1 | 2 | 3 | 4;

const sessionOptions = (
  location: 'cpu' | 'gpu-buffer',
  logLevel: LogLevel,
): InferenceSession.SessionOptions => ({
  executionProviders: ['webgpu'],
  preferredOutputLocation: location,
  graphOptimizationLevel: 'all',
  executionMode: 'sequential',
  logSeverityLevel: logLevel,
});

/** One model that passes tensors of any shape through, for each element type and side. */
class Ferries {
  readonly #sessions = new Map<string, Promise<InferenceSession>>();

  session(dtype: DataType, location: 'cpu' | 'gpu-buffer'): Promise<InferenceSession> {
    const key = `${dtype} ${location}`;
    let session = this.#sessions.get(key);
    if (!session) {
      session = InferenceSession.create(identityModel(dtype), sessionOptions(location, 3));
      this.#sessions.set(key, session);
    }
    return session;
  }

  async dispose(): Promise<void> {
    // A lost card leaves nothing to release, and its error has been told already.
    const released = [...this.#sessions.values()].map(async session => (await session).release());
    await Promise.allSettled(released);
    this.#sessions.clear();
  }
}

/**
 * ONNX Runtime's WebGPU provider, on the card of any vendor. Tensors stay in buffers of the card from program to
 * program; only `upload` and `read` cross to the host. Runs are serialised: concurrent ones crash the provider.
 */
export class OnnxRuntimeWebGpuEngine implements Engine {
  readonly name = 'webgpu';
  readonly version = `onnxruntime-node ${onnxRuntimeVersion}, WebGPU`;
  readonly transfers: Transfers = { uploads: 0, uploadedBytes: 0, downloads: 0, downloadedBytes: 0 };
  readonly #tally: Tally = { tensors: 0, bytes: 0 };
  readonly #queue = new SerialQueue();
  readonly #ferries = new Ferries();
  readonly #programs = new Set<WebGpuProgram>();
  readonly #logLevel: LogLevel;
  #largestTensorBytes: number | null = null;

  /**
   * @param logLevel what ONNX Runtime writes to standard error about programs; 0 names the provider of every node.
   * @throws EngineError when there is no card that WebGPU can use.
   */
  static async start(logLevel: LogLevel = 3): Promise<OnnxRuntimeWebGpuEngine> {
    const engine = new OnnxRuntimeWebGpuEngine(logLevel);
    try {
      // Holds the device for the life of the engine too: with the last session it would go, and every buffer with it.
      await engine.#ferries.session('float32', 'gpu-buffer');
    } catch (error) {
      const { message } = webGpuError(error, 'starting the WebGPU engine');
      throw new EngineError(`${message}. Without a card take --engine cpu`, { cause: error });
    }
    return engine;
  }

  private constructor(logLevel: LogLevel) {
    this.#logLevel = logLevel;
  }

  get live(): { tensors: number; bytes: number } {
    return { ...this.#tally };
  }

  async largestTensorBytes(): Promise<number> {
    this.#largestTensorBytes ??= await findLargestTensor();
    return this.#largestTensorBytes;
  }

  async compile(outputs: Outputs): Promise<Program> {
    this.#requireSize(outputs);
    try {
      const session = await InferenceSession.create(
        lowerToOnnx(outputs),
        sessionOptions('gpu-buffer', this.#logLevel),
      );
      const program = new WebGpuProgram(session, outputs, this.#tally, this.#queue, () => {
        this.#programs.delete(program);
      });
      this.#programs.add(program);
      return program;
    } catch (error) {
      throw webGpuError(error, `compiling a program whose largest ${describeTensor(largestTensor(outputs))}`);
    }
  }

  upload(shape: Shape, data: HostData): DeviceTensor {
    if (data.length !== sizeOf(shape))
      throw new RangeError(`upload: ${data.length} elements do not fill shape ${formatShape(shape)}`);
    const type = { shape, dtype: typeOf(data) };
    this.transfers.uploads++;
    this.transfers.uploadedBytes += data.byteLength;
    // The caller may change its array as soon as this returns.
    const tensor = toOrtTensor(type, data.slice());
    // There are no buffers of no bytes.
    const handle = data.length === 0 ? Promise.resolve(tensor) : this.#pass(tensor, type, 'gpu-buffer');
    return new WebGpuTensor(type, handle, this.#tally);
  }

  async read(tensor: DeviceTensor): Promise<HostData> {
    const { handle } = requireWebGpuTensor(tensor);
    if (sizeOf(tensor.shape) === 0) return new arrayOf[tensor.dtype](0);
    this.transfers.downloads++;
    this.transfers.downloadedBytes += byteLengthOf(tensor);
    const { data } = await this.#pass(handle, tensor, 'cpu');
    return data as HostData;
  }

  /** Known once it was asked for; until then the card itself refuses. */
  #requireSize(outputs: Outputs): void {
    const limit = this.#largestTensorBytes ?? Number.POSITIVE_INFINITY;
    const largest = largestTensor(outputs);
    if (byteLengthOf(largest) <= limit) return;
    throw new EngineError(
      `WebGPU: the ${describeTensor(largest)}, is larger than the ${mebibytes(limit)} that the graphics card allows a tensor. ` +
        'Lower the input size, in training also the batch, or take --engine cpu',
    );
  }

  /** Runs a tensor through the model that gives it back on the other side. */
  #pass(from: Tensor | Promise<Tensor>, type: TensorType, to: 'cpu' | 'gpu-buffer'): Promise<Tensor> {
    return this.#queue.add(async () => {
      try {
        const tensor = await from;
        const session = await this.#ferries.session(type.dtype, to);
        return (await session.run({ x: tensor })).y!;
      } catch (error) {
        const verb = to === 'cpu' ? 'reading' : 'uploading';
        throw webGpuError(error, `${verb} ${type.dtype} ${formatShape(type.shape)}`);
      }
    });
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#programs].map(program => program.dispose()));
    await this.#queue.add(() => this.#ferries.dispose());
  }
}

class WebGpuProgram implements Program {
  readonly inputs: Readonly<Record<string, TensorType>>;
  readonly outputs: Readonly<Record<string, TensorType>>;
  #session: InferenceSession | null;
  readonly #largest: string;
  readonly #tally: Tally;
  readonly #queue: SerialQueue;
  readonly #onDispose: () => void;

  constructor(
    session: InferenceSession,
    outputs: Outputs,
    tally: Tally,
    queue: SerialQueue,
    onDispose: () => void,
  ) {
    this.#session = session;
    this.#largest = describeTensor(largestTensor(outputs));
    this.#tally = tally;
    this.#queue = queue;
    this.#onDispose = onDispose;
    this.inputs = inputTypes(outputs);
    this.outputs = outputTypes(outputs);
  }

  async run(feeds: Feeds): Promise<Record<string, DeviceTensor>> {
    const session = this.#session;
    if (!session) throw new Error('the program was disposed of');
    // Should the program be disposed of meanwhile, its session is released behind this run.
    return this.#queue.add(() => this.#run(session, feeds));
  }

  async #run(session: InferenceSession, feeds: Feeds): Promise<Record<string, DeviceTensor>> {
    const bound: Record<string, Tensor> = {};
    for (const [name, type] of Object.entries(this.inputs))
      bound[name] = await requireWebGpuTensor(requireFeed(name, type, feeds[name])).handle;
    try {
      const results = await session.run(bound);
      return Object.fromEntries(
        Object.entries(this.outputs).map(([name, type]) => {
          const handle = Promise.resolve(results[onnxOutputName(name)]!);
          return [name, new WebGpuTensor(type, handle, this.#tally)];
        }),
      );
    } catch (error) {
      throw webGpuError(error, `running a program whose largest ${this.#largest}`);
    }
  }

  dispose(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    this.#onDispose();
    return this.#queue.add(async () => {
      await session?.release();
    });
  }
}

function requireWebGpuTensor(tensor: DeviceTensor): WebGpuTensor {
  if (!(tensor instanceof WebGpuTensor)) throw new TypeError('the tensor belongs to another engine');
  return tensor;
}

const toOrtTensor = ({ dtype, shape }: TensorType, data: HostData): Tensor =>
  new Tensor(dtype, data as Float32Array, shape as number[]);
