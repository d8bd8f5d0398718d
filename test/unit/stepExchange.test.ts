import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { bucketSize, StepExchange } from '../../trainer/distributed/stepExchange.ts';
import type { World } from '../../trainer/distributed/world.ts';
import { type DeviceTensor, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';

const settings = { imagesPerStep: 2, labelsPerImage: 0, firstImage: 0 };

/** Another rank that has the same gradients, and a network that takes its time. */
class SlowTwin implements World {
  readonly rank = 0;
  readonly size = 2;
  readonly description = 'twin';
  readonly busySeconds = 0;
  readonly milliseconds: number;
  /** Numbers of each sum. */
  readonly sums: number[] = [];

  constructor(milliseconds: number) {
    this.milliseconds = milliseconds;
  }

  async sum<Numbers extends Float32Array | Float64Array>(
    array: Numbers,
    count = array.length,
  ): Promise<Numbers> {
    this.sums.push(count);
    await delay(this.milliseconds);
    for (let index = 0; index < count; index++) array[index]! *= 2;
    return array;
  }

  async broadcast(array: Uint8Array): Promise<Uint8Array> {
    return array;
  }
}

describe('gradients of a step in buckets', () => {
  const engine = new OnnxRuntimeCpuEngine(1);
  const gradient = (size: number, value: number): DeviceTensor =>
    engine.upload([size], new Float32Array(size).fill(value));
  after(() => engine.dispose());

  /** Gives gradients of these sizes over, waiting after each as a backward pass takes its time. */
  async function backward(exchange: StepExchange, sizes: readonly number[], pause: number) {
    const received: { name: string; value: number; size: number; afterEnd: boolean }[] = [];
    let ended = false;
    const receive = async (name: string, tensor: DeviceTensor): Promise<void> => {
      const numbers = await readFloats(engine, tensor);
      assert.ok(numbers.every(number => number === numbers[0]));
      received.push({ name, value: numbers[0]!, size: numbers.length, afterEnd: ended });
      tensor.dispose();
    };
    for (const [index, size] of sizes.entries()) {
      await exchange.add(`g${index}`, gradient(size, index + 1), receive);
      await delay(pause);
    }
    ended = true;
    await exchange.finish(receive);
    return received;
  }

  it('hold several gradients, a large one alone, and come back in order', async () => {
    const world = new SlowTwin(0);
    const exchange = new StepExchange(engine, world, { ...settings, bucketNumbers: 10 });
    const sizes = [4, 4, 4, 25, 10, 1, 1];
    const received = await backward(exchange, sizes, 1);
    assert.deepEqual(world.sums, [8, 4, 25, 10, 2]);
    assert.deepEqual(
      received.map(({ name, value, size }) => [name, value, size]),
      sizes.map((size, index) => [`g${index}`, 2 * (index + 1), size]),
    );
    assert.deepEqual([exchange.buckets, exchange.bytes], [5, 4 * 49]);
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
  });

  it('travel while the backward pass goes on: only the last ones are waited for', async () => {
    const world = new SlowTwin(20);
    const exchange = new StepExchange(engine, world, { ...settings, bucketNumbers: 4 });
    const received = await backward(
      exchange,
      Array.from({ length: 10 }, () => 4),
      10,
    );
    const late = received.filter(({ afterEnd }) => afterEnd).length;
    assert.ok(late >= 1 && late <= 5, `${late} gradients came after the end`);
    assert.equal(exchange.bucketsMeanwhile, received.length - late);
    // Ten sums one after the other would be 200 ms.
    assert.ok(exchange.waitSeconds < 0.1, `${exchange.waitSeconds} s`);
  });

  it('are as large as the environment says', () => {
    assert.equal(bucketSize({}), 2 ** 21);
    assert.equal(bucketSize({ CLIPSELF_GRADIENT_BUCKET_MIB: '0.5' }), 2 ** 17);
    for (const text of ['0', '-1', 'much', '4096'])
      assert.throws(() => bucketSize({ CLIPSELF_GRADIENT_BUCKET_MIB: text }), /takes a size in MiB/);
  });
});
