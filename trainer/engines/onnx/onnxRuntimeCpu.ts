import { setImmediate } from 'node:timers/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { formatShape, type Shape, sizeOf } from '../../graph/shape.ts';
import type { Outputs } from '../../graph/split.ts';
import { type DataType, type TensorType, topologicalOrder } from '../../graph/value.ts';
import type { DeviceTensor, Engine, Feeds, HostData, Program } from '../engine.ts';
import { programTypes, requireFeed, typeOf } from '../programTypes.ts';
import { SerialQueue } from '../serialQueue.ts';
import { CpuMemory } from './cpuMemory.ts';
import { lowerToOnnx, onnxOutputName } from './lower.ts';
import { isRefusalToRead, unreadOutput } from './unreadOutput.ts';
import { onnxRuntimeVersion } from './version.ts';

const gib = 2 ** 30;

/**
 * An arena keeps what it once held and grows by doubling: fast, and for the attention matrices of a 1024 px image twice
 * the memory that is in use. Programs with a tensor beyond this take memory tensor by tensor, and give it back.
 */
const arenaTensorLimitBytes = 32 * 2 ** 20;

class CpuTensor implements DeviceTensor {
  readonly shape: Shape;
  readonly dtype: DataType;
  #data: HostData | null;
  readonly #memory: CpuMemory;

  constructor(type: TensorType, data: HostData, memory: CpuMemory) {
    this.shape = type.shape;
    this.dtype = type.dtype;
    this.#data = data;
    this.#memory = memory;
  }

  get data(): HostData {
    if (!this.#data) throw new Error(`a disposed tensor of shape ${formatShape(this.shape)} was used`);
    return this.#data;
  }

  dispose(): void {
    const data = this.data;
    this.#data = null;
    this.#memory.giveBack(this.dtype, data);
  }
}

/** ONNX Runtime's CPU provider. Tensors live in host memory; results are written straight into pooled arrays. */
export class OnnxRuntimeCpuEngine implements Engine {
  readonly name = 'cpu';
  readonly pieceBytes = 8 * 2 ** 20;
  readonly version = `onnxruntime-node ${onnxRuntimeVersion}`;
  readonly #memory = new CpuMemory(gib / 4);
  readonly #threads: number;
  readonly #programs = new Set<CpuProgram>();
  readonly #queue = new SerialQueue();
  readonly sharesMemory: boolean;

  /**
   * @param threads threads of one run; 0 leaves the number to ONNX Runtime (one per core).
   * @param sharesMemory whether this process keeps what is freed (`keepFreedMemory`): then all programs draw on one
   * heap, and none needs an arena of its own.
   */
  constructor(threads = 0, sharesMemory = false) {
    if (!Number.isInteger(threads) || threads < 0 || threads > 1024)
      throw new RangeError(`threads must be a whole number from 0 to 1024, got ${threads}`);
    this.#threads = threads;
    this.sharesMemory = sharesMemory;
  }

  get live(): { tensors: number; bytes: number } {
    return { tensors: this.#memory.liveTensors, bytes: this.#memory.liveBytes };
  }

  compile(outputs: Outputs): Promise<Program> {
    return this.#compile(outputs, {}, null, true);
  }

  compileFrozen(outputs: Outputs, constants: Feeds, openInput: string | null): Promise<Program> {
    // A program for each block, that is: as many arenas would hold as many times the memory.
    return this.#compile(outputs, constants, openInput, false);
  }

  async #compile(
    outputs: Outputs,
    constants: Feeds,
    openInput: string | null,
    ownArena: boolean,
  ): Promise<Program> {
    const types = programTypes(outputs, constants);
    const arena = ownArena && !this.sharesMemory && largestTensorBytes(outputs) <= arenaTensorLimitBytes;
    const numbers = Object.entries(constants).map(([name, tensor]) => ({
      path: name,
      data: bytesOfTensor(requireCpuTensor(tensor)),
    }));
    const external = new Map(
      numbers.map(({ path, data }) => [path, { location: path, offset: 0, length: data.length }]),
    );
    const model = lowerToOnnx(outputs, { external, openInput, forProcessor: true, unread: true });
    const session = await InferenceSession.create(model, {
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'all',
      intraOpNumThreads: this.#threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 3,
      enableCpuMemArena: arena,
      enableMemPattern: arena,
      externalData: numbers,
      // Waiting threads sleep instead of spinning: the loader and the user's other programs need the cores too.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
    const program = new CpuProgram(session, types, openInput, this.#memory, this.#queue, () => {
      this.#programs.delete(program);
    });
    this.#programs.add(program);
    return program;
  }

  upload(shape: Shape, data: HostData): DeviceTensor {
    if (data.length !== sizeOf(shape))
      throw new RangeError(`upload: ${data.length} elements do not fill shape ${formatShape(shape)}`);
    const dtype = typeOf(data);
    const own = this.#memory.take(dtype, data.length);
    own.set(data);
    return new CpuTensor({ shape, dtype }, own, this.#memory);
  }

  async read(tensor: DeviceTensor): Promise<HostData> {
    return requireCpuTensor(tensor).data.slice();
  }

  async readInto(tensor: DeviceTensor, target: Float32Array): Promise<void> {
    target.set(requireCpuTensor(tensor).data);
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#programs].map(program => program.dispose()));
    this.#memory.clear();
  }
}

class CpuProgram implements Program {
  readonly inputs: Readonly<Record<string, TensorType>>;
  readonly outputs: Readonly<Record<string, TensorType>>;
  #session: InferenceSession | null;
  readonly #openInput: string | null;
  readonly #memory: CpuMemory;
  readonly #queue: SerialQueue;
  readonly #onDispose: () => void;

  constructor(
    session: InferenceSession,
    { inputs, outputs }: Pick<Program, 'inputs' | 'outputs'>,
    openInput: string | null,
    memory: CpuMemory,
    queue: SerialQueue,
    onDispose: () => void,
  ) {
    this.#session = session;
    this.#memory = memory;
    this.#queue = queue;
    this.#onDispose = onDispose;
    this.inputs = inputs;
    this.outputs = outputs;
    this.#openInput = openInput;
  }

  async run(feeds: Feeds): Promise<Record<string, DeviceTensor>> {
    const session = this.#session;
    if (!session) throw new Error('the program was disposed of');
    // Should the program be disposed of meanwhile, its session is released behind this run.
    return this.#queue.add(() => this.#run(session, feeds));
  }

  async #run(session: InferenceSession, feeds: Feeds): Promise<Record<string, DeviceTensor>> {
    const images = this.#imagesIn(feeds);
    const bound: Record<string, Tensor> = {};
    for (const [name, one] of Object.entries(this.inputs)) {
      const type = name === this.#openInput ? times(one, images) : one;
      bound[name] = toOrtTensor(type, requireCpuTensor(requireFeed(name, type, feeds[name])).data);
    }
    const results: Record<string, CpuTensor> = {};
    const fetches: Record<string, Tensor | null> = { [unreadOutput]: null };
    try {
      for (const [name, one] of Object.entries(this.outputs)) {
        const type = times(one, images);
        const data = this.#memory.take(type.dtype, sizeOf(type.shape));
        results[name] = new CpuTensor(type, data, this.#memory);
        fetches[onnxOutputName(name)] = toOrtTensor(type, data);
      }
      await runUnread(session, bound, fetches);
      // ONNX Runtime blocks the event loop while it computes: let timers, pipes and workers in between runs.
      await setImmediate();
    } catch (error) {
      for (const tensor of Object.values(results)) tensor.dispose();
      throw error;
    }
    return results;
  }

  /** How many images the open input holds, of those the graph was made for; 1 where none is open. */
  #imagesIn(feeds: Feeds): number {
    if (this.#openInput === null) return 1;
    const [one, rows] = [this.inputs[this.#openInput]!.shape[0]!, feeds[this.#openInput]?.shape[0] ?? 0];
    return Math.max(1, Math.floor(rows / one));
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

/** Computes the fetches into their arrays, and reads nothing back. */
async function runUnread(
  session: InferenceSession,
  feeds: InferenceSession.OnnxValueMapType,
  fetches: InferenceSession.NullableOnnxValueMapType,
): Promise<void> {
  try {
    await session.run(feeds, fetches);
  } catch (error) {
    if (!isRefusalToRead(error)) throw error;
  }
}

/** The type with so many times the rows. */
const times = ({ shape: [rows, ...rest], dtype }: TensorType, images: number): TensorType =>
  rows === undefined ? { shape: [], dtype } : { shape: [rows * images, ...rest], dtype };

const bytesOfTensor = ({ data }: CpuTensor): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Every type but bool takes four bytes an element. */
function largestTensorBytes(outputs: Outputs): number {
  return topologicalOrder(Object.values(outputs)).reduce((most, { size }) => Math.max(most, 4 * size), 0);
}

function requireCpuTensor(tensor: DeviceTensor): CpuTensor {
  if (!(tensor instanceof CpuTensor)) throw new TypeError('the tensor belongs to another engine');
  return tensor;
}

const toOrtTensor = ({ dtype, shape }: TensorType, data: HostData): Tensor =>
  new Tensor(dtype, data as Float32Array, shape as number[]);
