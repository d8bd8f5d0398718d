import { setImmediate } from 'node:timers/promises';
import { formatShape, type Shape, sizeOf } from '../../graph/shape.ts';
import type { Outputs } from '../../graph/split.ts';
import { type DataType, type TensorType, topologicalOrder, type Value } from '../../graph/value.ts';
import {
  bytesOf,
  type DeviceTensor,
  type Engine,
  type Feeds,
  type HostData,
  type Program,
} from '../engine.ts';
import { inputTypes, outputTypes, requireFeed, typeOf } from '../programTypes.ts';
import { SerialQueue } from '../serialQueue.ts';
import { KernelEmitter } from './kernelEmitter.ts';
import type { NativeTensor, Tfjs } from './tfjs.ts';

/** Tensors that were handed out and not disposed of. */
interface Live {
  tensors: number;
  bytes: number;
}

class TensorflowTensor implements DeviceTensor {
  readonly shape: Shape;
  readonly dtype: DataType;
  #native: NativeTensor | null;
  readonly #live: Live;

  constructor({ shape, dtype }: TensorType, native: NativeTensor, live: Live) {
    this.shape = shape;
    this.dtype = dtype;
    this.#native = native;
    this.#live = live;
    live.tensors++;
    live.bytes += this.#bytes;
  }

  get #bytes(): number {
    return bytesOf(this.dtype) * sizeOf(this.shape);
  }

  get native(): NativeTensor {
    if (!this.#native) throw new Error(`a disposed tensor of shape ${formatShape(this.shape)} was used`);
    return this.#native;
  }

  dispose(): void {
    this.native.dispose();
    this.#native = null;
    this.#live.tensors--;
    this.#live.bytes -= this.#bytes;
  }
}

/** TensorFlow through the kernels of TensorFlow.js: tensors live where its backend keeps them. */
export class TensorflowEngine implements Engine {
  readonly name = 'tensorflow';
  readonly version: string;
  readonly remark?: string;
  readonly #tf: Tfjs;
  readonly #emitter: KernelEmitter;
  readonly #live: Live = { tensors: 0, bytes: 0 };
  readonly #queue = new SerialQueue();
  readonly #programs = new Set<TensorflowProgram>();

  /**
   * @param tf TensorFlow.js with its backend chosen and ready.
   * @param version Names library and backend, for the record of a run.
   * @param remark What whoever starts it should be told.
   */
  constructor(tf: Tfjs, version: string, remark?: string) {
    this.#tf = tf;
    this.version = version;
    if (remark !== undefined) this.remark = remark;
    this.#emitter = new KernelEmitter(tf);
  }

  get live(): { tensors: number; bytes: number } {
    return { ...this.#live };
  }

  async compile(outputs: Outputs): Promise<Program> {
    const program = new TensorflowProgram(outputs, this.#emitter, this.#queue, this.#live, () => {
      this.#programs.delete(program);
    });
    this.#programs.add(program);
    return program;
  }

  upload(shape: Shape, data: HostData): DeviceTensor {
    if (data.length !== sizeOf(shape))
      throw new RangeError(`upload: ${data.length} elements do not fill shape ${formatShape(shape)}`);
    const dtype = typeOf(data);
    if (dtype === 'float16') throw new TypeError('TensorFlow.js has no half precision');
    // The library keeps the array that it is given until a kernel wants it.
    const native = this.#tf.tensor(data.slice(), [...shape], dtype);
    return new TensorflowTensor({ shape, dtype }, native, this.#live);
  }

  async read(tensor: DeviceTensor): Promise<HostData> {
    const data = await requireOwn(tensor).native.data();
    return data.slice() as HostData;
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#programs].map(program => program.dispose()));
    this.#emitter.dispose();
  }
}

/** A computed value, and the computed values that nothing later needs. */
interface Step {
  value: Value;
  lastUses: readonly Value[];
}

class TensorflowProgram implements Program {
  readonly inputs: Readonly<Record<string, TensorType>>;
  readonly outputs: Readonly<Record<string, TensorType>>;
  readonly #results: Outputs;
  readonly #steps: readonly Step[];
  readonly #emitter: KernelEmitter;
  readonly #queue: SerialQueue;
  readonly #live: Live;
  readonly #onDispose: () => void;
  #disposed = false;

  constructor(
    outputs: Outputs,
    emitter: KernelEmitter,
    queue: SerialQueue,
    live: Live,
    onDispose: () => void,
  ) {
    this.inputs = inputTypes(outputs);
    this.outputs = outputTypes(outputs);
    this.#results = outputs;
    this.#steps = planSteps(outputs);
    this.#emitter = emitter;
    this.#queue = queue;
    this.#live = live;
    this.#onDispose = onDispose;
  }

  async run(feeds: Feeds): Promise<Record<string, DeviceTensor>> {
    if (this.#disposed) throw new Error('the program was disposed of');
    return this.#queue.add(async () => {
      const results = this.#run(feeds);
      // Kernels block the event loop: let timers, pipes and workers in between runs.
      await setImmediate();
      return results;
    });
  }

  #run(feeds: Feeds): Record<string, DeviceTensor> {
    const fed = new Map<string, NativeTensor>();
    for (const [name, type] of Object.entries(this.inputs))
      fed.set(name, requireOwn(requireFeed(name, type, feeds[name])).native);
    const computed = new Map<Value, NativeTensor>();
    const find = (value: Value): NativeTensor => {
      if (value.name !== null) return fed.get(value.name)!;
      return isScalarConstant(value) ? this.#emitter.scalar(value.constant!) : computed.get(value)!;
    };
    try {
      for (const { value, lastUses } of this.#steps) {
        computed.set(value, this.#compute(value, value.inputs.map(find)));
        for (const spent of lastUses) {
          computed.get(spent)!.dispose();
          computed.delete(spent);
        }
      }
      return this.#handOver(find);
    } catch (error) {
      for (const tensor of computed.values()) tensor.dispose();
      throw error;
    }
  }

  #compute(value: Value, inputs: readonly NativeTensor[]): NativeTensor {
    const emitter = this.#emitter;
    return emitter.scope(() => {
      const { constant, operation } = value;
      if (!operation) return emitter.filled(constant!, value.shape);
      const result = operation.tfjs(emitter, value, value.attributes, inputs);
      return inputs.some(input => input === result) ? emitter.sameElements(result) : result;
    });
  }

  /** Each result has a tensor of its own, also where two are the same value or one is a feed. */
  #handOver(find: (value: Value) => NativeTensor): Record<string, DeviceTensor> {
    const handedOver = new Set<NativeTensor>();
    const natives = Object.values(this.#results).map(value => {
      const native = find(value);
      if (isComputed(value) && !handedOver.has(native)) {
        handedOver.add(native);
        return native;
      }
      return this.#emitter.sameElements(native);
    });
    return Object.fromEntries(
      Object.entries(this.outputs).map(([name, type], index) => [
        name,
        new TensorflowTensor(type, natives[index]!, this.#live),
      ]),
    );
  }

  dispose(): Promise<void> {
    this.#disposed = true;
    this.#onDispose();
    return this.#queue.add(async () => undefined);
  }
}

function requireOwn(tensor: DeviceTensor): TensorflowTensor {
  if (!(tensor instanceof TensorflowTensor)) throw new TypeError('the tensor belongs to another engine');
  return tensor;
}

/** Graphs have many, of few numbers: the emitter keeps those, where filling a tensor anew costs as much as a product. */
const isScalarConstant = ({ constant, shape }: Value): boolean => constant !== null && shape.length === 0;

/** Whether a run makes a tensor for the value. */
const isComputed = (value: Value): boolean => value.name === null && !isScalarConstant(value);

/** The computed values in an order that has operands first, each with those that it is the last to use. */
function planSteps(outputs: Outputs): Step[] {
  const results = new Set(Object.values(outputs));
  const values = topologicalOrder(results).filter(isComputed);
  const spent = new Set<Value>();
  const steps = values.reverse().map(value => {
    const lastUses = [...new Set(value.inputs)].filter(
      input => isComputed(input) && !results.has(input) && !spent.has(input),
    );
    for (const input of lastUses) spent.add(input);
    return { value, lastUses };
  });
  return steps.reverse();
}
