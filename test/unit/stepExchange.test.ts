import assert from 'node:assert/strict';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { bucketSize, StepExchange } from '../../trainer/distributed/stepExchange.ts';
import type { World } from '../../trainer/distributed/world.ts';
import { type DeviceTensor, readFloats } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';

const settings = { imagesPerStep: 2, labelsPerImage: 0, firstImage: 0 };

/** Another rank that has the same gradients, and a network that ends each sum when it is told to. */
class HeldTwin implements World {
  readonly rank = 0;
  readonly size = 2;
  readonly description = 'twin';
  readonly busySeconds = 0;
  /** Numbers of each sum. */
  readonly sums: number[] = [];
  readonly #gates: (() => void)[] = [];

  async sum<Numbers extends Float32Array | Float64Array>(
    array: Numbers,
    count = array.length,
  ): Promise<Numbers> {
    this.sums.push(count);
    await new Promise<void>(resolve => this.#gates.push(resolve));
    for (let index = 0; index < count; index++) array[index]! *= 2;
    return array;
  }

  /** Ends the sums before the one at `place`, and lets whoever waits for them hear of it. */
  async endSums(place = this.#gates.length): Promise<void> {
    for (const open of this.#gates.slice(0, Math.max(0, place))) open();
    await setImmediate();
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

  interface Received {
    name: string;
    value: number;
    size: number;
  }

  const receiver = (received: Received[]) => async (name: string, tensor: DeviceTensor) => {
    const numbers = await readFloats(engine, tensor);
    assert.ok(numbers.every(number => number === numbers[0]));
    received.push({ name, value: numbers[0]!, size: numbers.length });
    tensor.dispose();
  };

  it('hold several gradients, a large one alone, and come back in order', async () => {
    const world = new HeldTwin();
    const exchange = new StepExchange(engine, world, { ...settings, bucketNumbers: 10 });
    const sizes = [4, 4, 4, 25, 10, 1, 1];
    const received: Received[] = [];
    const receive = receiver(received);
    for (const [index, size] of sizes.entries())
      await exchange.add(`g${index}`, gradient(size, index + 1), receive);
    const finished = exchange.finish(receive);
    await world.endSums();
    await finished;
    assert.deepEqual(world.sums, [8, 4, 25, 10, 2]);
    assert.deepEqual(
      received.map(({ name, value, size }) => [name, value, size]),
      sizes.map((size, index) => [`g${index}`, 2 * (index + 1), size]),
    );
    assert.deepEqual([exchange.buckets, exchange.bytes], [5, 4 * 49]);
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
  });

  it('travel while the backward pass goes on: only the last ones are waited for', async () => {
    const world = new HeldTwin();
    const exchange = new StepExchange(engine, world, { ...settings, bucketNumbers: 4 });
    const received: Received[] = [];
    const receive = receiver(received);
    for (let index = 0; index < 10; index++) {
      await exchange.add(`g${index}`, gradient(4, index + 1), receive);
      // A bucket comes back when two more have been sent, and is handed over with the next gradient.
      assert.equal(received.length, Math.max(0, index - 2));
      await world.endSums(index - 1);
    }
    assert.deepEqual([exchange.buckets, exchange.bucketsMeanwhile], [10, 7]);
    const [waitedBefore, started] = [exchange.waitSeconds, performance.now()];
    let ended = false;
    const finished = exchange.finish(receive).then(() => {
      ended = true;
    });
    await delay(20);
    // The eighth had come back and was only to be handed over.
    assert.deepEqual([ended, received.length], [false, 8]);
    await world.endSums();
    await finished;
    assert.equal(received.length, 10);
    const waited = exchange.waitSeconds - waitedBefore;
    const most = (performance.now() - started) / 1000;
    assert.ok(waited > 0.015 && waited <= most, `waited ${waited} of ${most} s`);
    assert.equal(exchange.bucketsMeanwhile, 7);
  });

  it('are as large as the environment says', () => {
    assert.equal(bucketSize({}), 2 ** 21);
    assert.equal(bucketSize({ CLIPSELF_GRADIENT_BUCKET_MIB: '0.5' }), 2 ** 17);
    for (const text of ['0', '-1', 'much', '4096'])
      assert.throws(() => bucketSize({ CLIPSELF_GRADIENT_BUCKET_MIB: text }), /takes a size in MiB/);
  });
});
