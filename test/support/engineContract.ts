import assert from 'node:assert/strict';
import {
  type DeviceTensor,
  disposeAll,
  type Engine,
  readFloats,
  takeScalar,
} from '../../trainer/engines/engine.ts';
import { add, exponential, lessThan } from '../../trainer/graph/operations/arithmetic.ts';
import { gatherRows } from '../../trainer/graph/operations/gather.ts';
import { matmul } from '../../trainer/graph/operations/product.ts';
import { broadcastTo, total } from '../../trainer/graph/operations/reduction.ts';
import { Value } from '../../trainer/graph/value.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { runGraph } from './runGraph.ts';

export const random = (name: string, size: number): Float32Array => {
  const source = keyedRandom(2, name);
  return Float32Array.from({ length: size }, () => source.float() * 2 - 1);
};

const x = Value.input('x', [2]);
const doubled = { y: add(x, x) };

/** What an engine says in its library's words. */
export interface EngineMessages {
  badIndex: RegExp;
  sameName: RegExp;
}

/** Tests that every engine must pass. */
export function describeEngine(
  title: string,
  create: () => Promise<Engine>,
  { badIndex, sameName }: EngineMessages,
): void {
  describe(title, () => {
    let engine: Engine;

    beforeEach(async () => {
      engine = await create();
    });
    afterEach(() => engine.dispose());

    it('says what a program takes and gives', async () => {
      const indices = Value.input('indices', [3], 'int32');
      const rows = gatherRows(Value.input('table', [4, 2]), indices);
      const program = await engine.compile({ rows, small: lessThan(rows, Value.constant(0)) });
      assert.deepEqual(program.inputs, {
        table: { shape: [4, 2], dtype: 'float32' },
        indices: { shape: [3], dtype: 'int32' },
      });
      assert.deepEqual(program.outputs, {
        rows: { shape: [3, 2], dtype: 'float32' },
        small: { shape: [3, 2], dtype: 'bool' },
      });
    });

    it('takes and gives float32, int32 and bool, also as scalars, empty or handed through', async () => {
      const [flags, number] = [Value.input('flags', [2], 'bool'), Value.input('number', [], 'int32')];
      const empty = Value.input('empty', [0, 2]);
      const inputs = {
        x: Float32Array.of(3, -1),
        flags: Uint8Array.of(1, 0),
        number: Int32Array.of(-7),
        empty: new Float32Array(0),
      };
      const outputs = {
        flags,
        number,
        empty,
        x,
        again: x,
        below: lessThan(x, Value.constant(0)),
        sum: total(x),
      };
      const results = await runGraph(engine, { ...outputs, constant: Value.constant(4, [2]) }, inputs);
      assert.deepEqual(results, {
        flags: Uint8Array.of(1, 0),
        number: Int32Array.of(-7),
        empty: new Float32Array(0),
        x: Float32Array.of(3, -1),
        again: Float32Array.of(3, -1),
        below: Uint8Array.of(0, 1),
        sum: Float32Array.of(2),
        constant: Float32Array.of(4, 4),
      });
    });

    it('refuses feeds that are missing, misshapen, of another type, disposed of or foreign', async () => {
      const program = await engine.compile(doubled);
      const foreign: DeviceTensor = { shape: [2], dtype: 'float32', dispose: () => undefined };
      const disposed = engine.upload([2], new Float32Array(2));
      disposed.dispose();
      const refused: [Record<string, DeviceTensor>, RegExp][] = [
        [{}, /input 'x' was not fed/],
        [{ x: engine.upload([3], new Float32Array(3)) }, /input 'x' takes float32 \[2\], got float32 \[3\]/],
        [{ x: engine.upload([1, 2], new Float32Array(2)) }, /got float32 \[1, 2\]/],
        [{ x: engine.upload([2], new Int32Array(2)) }, /takes float32 \[2\], got int32 \[2\]/],
        [{ x: engine.upload([2], new Uint8Array(2)) }, /got bool \[2\]/],
        [{ x: disposed }, /a disposed tensor of shape \[2\] was used/],
        [{ x: foreign }, /belongs to another engine/],
      ];
      const before = engine.live;
      for (const [feeds, message] of refused) await assert.rejects(program.run(feeds), message);
      assert.deepEqual(engine.live, before);
      await assert.rejects(engine.read(foreign), /another engine/);
      await assert.rejects(engine.read(disposed), /disposed tensor/);
      assert.throws(() => disposed.dispose(), /disposed tensor/);

      const tensor = engine.upload([2], Float32Array.of(1, 2));
      const { y } = await program.run({ x: tensor });
      assert.deepEqual([...(await readFloats(engine, y!))], [2, 4], 'the program still works');
    });

    it('refuses data that does not fill its shape, and to read other types as float32', async () => {
      assert.throws(
        () => engine.upload([2, 3], new Float32Array(5)),
        /5 elements do not fill shape \[2, 3\]/,
      );
      assert.throws(() => engine.upload([], new Float32Array(0)), /0 elements do not fill shape \[\]/);
      assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
      const whole = engine.upload([1], Int32Array.of(1));
      await assert.rejects(readFloats(engine, whole), /expected float32, got int32/);
    });

    it('copies what is uploaded and what is read', async () => {
      const source = Float32Array.of(1, 2);
      const tensor = engine.upload([2], source);
      source.fill(9);
      const first = await readFloats(engine, tensor);
      assert.deepEqual([...first], [1, 2]);
      first.fill(9);
      assert.deepEqual([...(await readFloats(engine, tensor))], [1, 2]);
    });

    it('leaves feeds and earlier results alone', async () => {
      const program = await engine.compile(doubled);
      const feed = engine.upload([2], Float32Array.of(1, 2));
      const first = await program.run({ x: feed });
      const second = await program.run({ x: first.y! });
      const third = await program.run({ x: second.y! });
      const read = async (tensor: DeviceTensor) => [...(await readFloats(engine, tensor))];
      assert.deepEqual(await read(feed), [1, 2]);
      assert.deepEqual(await read(first.y!), [2, 4]);
      assert.deepEqual(await read(second.y!), [4, 8]);
      assert.deepEqual(await read(third.y!), [8, 16]);
    });

    it('counts live tensors and their bytes', async () => {
      const program = await engine.compile({ ...doubled, small: lessThan(x, Value.constant(0)) });
      const feed = engine.upload([2], Float32Array.of(1, 2));
      assert.deepEqual(engine.live, { tensors: 1, bytes: 8 });
      const results = await program.run({ x: feed });
      assert.deepEqual(engine.live, { tensors: 3, bytes: 18 });
      disposeAll(results);
      disposeAll([feed]);
      assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
      assert.equal(await takeScalar(engine, engine.upload([], Float32Array.of(5))), 5);
      assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    });

    it('keeps nothing of a run for which there is no memory', async () => {
      const program = await engine.compile({ ...doubled, huge: broadcastTo(total(x), [2 ** 24, 2 ** 24]) });
      const feed = engine.upload([2], Float32Array.of(1, 2));
      await assert.rejects(program.run({ x: feed }));
      assert.deepEqual(engine.live, { tensors: 1, bytes: 8 });
    });

    it('runs one after the other, in the order they were asked for', async () => {
      const size = 256;
      const square = Value.input('square', [size, size]);
      const slow = await engine.compile({ y: matmul(matmul(square, square), square) });
      const fast = await engine.compile(doubled);
      const feed = engine.upload([2], Float32Array.of(1, 2));
      const large = engine.upload([size, size], random('square', size * size));
      const finished: string[] = [];
      const runs = [slow.run({ square: large }), fast.run({ x: feed }), slow.run({ square: large })];
      await Promise.all(runs.map((run, index) => run.then(() => finished.push(`run ${index}`))));
      assert.deepEqual(finished, ['run 0', 'run 1', 'run 2']);
    });

    it('goes on after a run that failed', async () => {
      const program = await engine.compile(doubled);
      const feed = engine.upload([2], Float32Array.of(1, 2));
      const runs = await Promise.allSettled([program.run({}), program.run({ x: feed })]);
      assert.deepEqual(
        runs.map(({ status }) => status),
        ['rejected', 'fulfilled'],
      );
    });

    it('reports an index outside the table', async () => {
      const rows = gatherRows(Value.input('table', [2, 1]), Value.input('indices', [1], 'int32'));
      const inputs = { table: new Float32Array(2), indices: Int32Array.of(2) };
      await assert.rejects(runGraph(engine, { rows }, inputs), badIndex);
    });

    it('refuses two inputs of one name', async () => {
      await assert.rejects(engine.compile({ y: add(x, Value.input('x', [2])) }), sameName);
    });

    it('lets a run that was asked for finish before its program goes', async () => {
      const program = await engine.compile(doubled);
      const feed = engine.upload([2], Float32Array.of(1, 2));
      const run = program.run({ x: feed });
      const disposal = program.dispose();
      await assert.rejects(program.run({ x: feed }), /the program was disposed of/);
      assert.deepEqual([...(await readFloats(engine, (await run).y!))], [2, 4]);
      await disposal;
      await program.dispose();
    });

    it('takes its programs with it when it is disposed of', async () => {
      const programs = [await engine.compile(doubled), await engine.compile({ y: exponential(x) })];
      const feed = engine.upload([2], new Float32Array(2));
      await engine.dispose();
      for (const program of programs) await assert.rejects(program.run({ x: feed }), /disposed of/);
      feed.dispose();
      assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    });
  });
}
