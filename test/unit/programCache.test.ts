import assert from 'node:assert/strict';
import type { Program } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { add, multiply } from '../../trainer/graph/operations/arithmetic.ts';
import type { Outputs } from '../../trainer/graph/split.ts';
import { Value } from '../../trainer/graph/value.ts';

const sound = (): Outputs => ({ y: multiply(Value.input('x', []), Value.constant(2)) });
/** The engine refuses it: two inputs share a name. */
const faulty = (): Outputs => ({ y: add(Value.input('x', []), Value.input('x', [])) });

describe('program cache', () => {
  const engine = new OnnxRuntimeCpuEngine(1);
  after(() => engine.dispose());

  /** Builds that were asked for, in order. */
  let built: string[];
  beforeEach(() => {
    built = [];
  });
  const request = (cache: ProgramCache, key: string, graph = sound): Promise<Program> =>
    cache.get(key, () => {
      built.push(key);
      return graph();
    });

  async function isDisposed(program: Program): Promise<boolean> {
    const x = engine.upload([], Float32Array.of(1));
    try {
      (await program.run({ x })).y!.dispose();
      return false;
    } catch (error) {
      assert.match(String(error), /disposed of/);
      return true;
    } finally {
      x.dispose();
    }
  }

  it('compiles a key once, also when it is asked for twice at a time', async () => {
    const cache = new ProgramCache(engine);
    const [first, second] = await Promise.all([request(cache, 'a'), request(cache, 'a')]);
    assert.equal(first, second);
    assert.equal(await request(cache, 'a'), first);
    assert.deepEqual(built, ['a']);
    await cache.dispose();
  });

  it('disposes of the least recently used program beyond its capacity', async () => {
    const cache = new ProgramCache(engine, 2);
    const a = await request(cache, 'a');
    const b = await request(cache, 'b');
    await request(cache, 'a');
    const c = await request(cache, 'c');
    assert.deepEqual(await Promise.all([a, b, c].map(isDisposed)), [false, true, false]);
    assert.equal(await request(cache, 'a'), a);
    await request(cache, 'b');
    assert.deepEqual(built, ['a', 'b', 'c', 'b']);
    assert.ok(await isDisposed(c));
    await cache.dispose();
  });

  it('disposes of every program it holds', async () => {
    const cache = new ProgramCache(engine);
    const programs = await Promise.all(['a', 'b', 'c'].map(key => request(cache, key)));
    await cache.dispose();
    assert.deepEqual(await Promise.all(programs.map(isDisposed)), [true, true, true]);
    const again = await request(cache, 'a');
    assert.ok(!(await isDisposed(again)), 'it can be used anew');
    await cache.dispose();
  });

  it('forgets a program that did not compile', async () => {
    const cache = new ProgramCache(engine);
    await assert.rejects(request(cache, 'a', faulty), /two inputs are called/);
    assert.ok(!(await isDisposed(await request(cache, 'a'))));
    assert.deepEqual(built, ['a', 'a']);
    await cache.dispose();
  });

  it('forgets a graph that could not be built', async () => {
    const cache = new ProgramCache(engine);
    const misshapen = () => ({ y: add(Value.input('x', [2]), Value.input('z', [3])) });
    await assert.rejects(request(cache, 'a', misshapen), /shapes do not broadcast/);
    await request(cache, 'a');
    await cache.dispose();
  });

  it('keeps one program apart from the failure of another', async () => {
    const cache = new ProgramCache(engine, 1);
    const failure = assert.rejects(request(cache, 'a', faulty), /two inputs are called/);
    const b = await request(cache, 'b');
    await failure;
    assert.ok(!(await isDisposed(b)));

    const another = assert.rejects(request(cache, 'c', faulty), /two inputs are called/);
    await cache.dispose();
    await another;
    assert.ok(await isDisposed(b));
  });

  it('does not forget a later success under the key of an earlier failure', async () => {
    const cache = new ProgramCache(engine, 1);
    const failure = assert.rejects(request(cache, 'a', faulty), /two inputs are called/);
    const other = request(cache, 'b');
    const success = request(cache, 'a');
    await Promise.all([failure, other, success]);
    assert.equal(await request(cache, 'a'), await success);
    assert.deepEqual(built, ['a', 'b', 'a']);
    await cache.dispose();
  });
});
