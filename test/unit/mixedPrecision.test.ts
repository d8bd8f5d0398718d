/** Steps of CLIPSelf in half precision against float32, on the processor or a card that has it. */

import assert from 'node:assert/strict';
import type { Distiller, StepResult } from '../../trainer/distill/distiller.ts';
import { initialLossScale } from '../../trainer/distill/lossScale.ts';
import { type Engine, readFloats } from '../../trainer/engines/engine.ts';
import { requireHalfPrecision } from '../../trainer/engines/halfPrecisionCheck.ts';
import { skipBecause } from '../support/skip.ts';
import { startTestEngine, testsOnCard } from '../support/testEngine.ts';
import { createTinyDistiller, tinyBatch } from '../support/tinyDistiller.ts';

/** Unit of the last place of half precision, relative: eleven digits. */
const unit = 2 ** -11;

describe('mixed precision', () => {
  let engine: Engine;
  const distillers: Distiller[] = [];

  before(async function () {
    engine = await startTestEngine();
    const lacking = await requireHalfPrecision(engine).catch(String);
    if (lacking && testsOnCard()) skipBecause(this, lacking);
    assert.equal(lacking, undefined);
  });
  afterEach(async () => {
    for (const distiller of distillers.splice(0)) await distiller.dispose();
    assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
  });
  after(() => engine.dispose());

  async function create(precision: 'fp32' | 'fp16', activationBudget: number = 2 ** 30): Promise<Distiller> {
    const distiller = await createTinyDistiller(engine, activationBudget, precision);
    distillers.push(distiller);
    return distiller;
  }

  async function steps(distiller: Distiller, count: number): Promise<StepResult[]> {
    const results: StepResult[] = [];
    for (let step = 1; step <= count; step++) results.push(await distiller.step(tinyBatch(), step, 1e-3));
    return results;
  }

  const studentOf = async (distiller: Distiller): Promise<Map<string, Float32Array>> => {
    const weights = new Map<string, Float32Array>();
    for (const name of distiller.trainable)
      weights.set(name, await readFloats(engine, distiller.studentParameters.get(name)!));
    return weights;
  };

  /** First moments after one step are 0.1 of the gradients. */
  async function gradientsOf(distiller: Distiller): Promise<Map<string, Float32Array>> {
    await steps(distiller, 1);
    const found = new Map<string, Float32Array>();
    for (const name of distiller.trainable)
      found.set(name, (await distiller.optimiser.readMoments(name))!.firstMoment);
    return found;
  }

  /** ‖found − expected‖ / ‖expected‖ over all tensors together. */
  function distance(
    found: ReadonlyMap<string, Float32Array>,
    expected: ReadonlyMap<string, Float32Array>,
  ): number {
    let [error, size] = [0, 0];
    for (const [name, values] of expected)
      values.forEach((value, index) => {
        error += (found.get(name)![index]! - value) ** 2;
        size += value ** 2;
      });
    return Math.sqrt(error / size);
  }

  for (const [how, budget] of [
    ['kept', 2 ** 30],
    ['computed again', 0],
  ] as const)
    it(`gives the gradients of float32 up to a few units of half precision, activations ${how}`, async () => {
      const [full, half] = [await create('fp32', budget), await create('fp16', budget)];
      const off = distance(await gradientsOf(half), await gradientsOf(full));
      assert.ok(off < 4 * unit, `relative distance ${off}`);
      assert.ok(off > 0, 'it computed in float32');
    });

  it('follows float32 over five steps', async () => {
    const [full, half] = [await create('fp32'), await create('fp16')];
    const [expected, found] = [await steps(full, 5), await steps(half, 5)];
    for (const [index, { loss }] of expected.entries())
      assert.ok(Math.abs(found[index]!.loss - loss) < unit, `step ${index + 1}: ${found[index]!.loss}`);
    assert.deepEqual(half.lossScale, { ...initialLossScale, goodSteps: 5 });
    assert.equal(full.lossScale, null);
    const moved = distance(await studentOf(half), await studentOf(full));
    assert.ok(moved < 4 * unit, `relative distance ${moved}`);
  });

  it('keeps activations in half the memory', async () => {
    const [full, half] = [await create('fp32'), await create('fp16')];
    assert.equal(half.activationPlan(2).keptBytes, full.activationPlan(2).keptBytes / 2);
  });

  it('skips steps whose gradients overflow, leaves everything as it was, and goes on with half the scale', async () => {
    const [half, undisturbed] = [await create('fp16'), await create('fp16')];
    half.restoreLossScale({ scale: 2 ** 40, goodSteps: 9, skippedSteps: 0 });
    const before = await studentOf(half);
    const [skipped] = await steps(half, 1);
    assert.equal(skipped!.skipped, true);
    assert.equal(skipped!.gradNorm, Number.POSITIVE_INFINITY);
    assert.ok(Number.isFinite(skipped!.loss));
    assert.deepEqual(await studentOf(half), before);
    const [name] = half.trainable;
    assert.equal(await half.optimiser.readMoments(name!), null);
    assert.deepEqual(half.lossScale, { scale: 2 ** 39, goodSteps: 0, skippedSteps: 1 });

    // The optimiser does not count what was skipped: its next step is its first.
    half.restoreLossScale({ scale: initialLossScale.scale, goodSteps: 0, skippedSteps: 1 });
    await half.step(tinyBatch(), 2, 1e-3);
    await steps(undisturbed, 1);
    assert.deepEqual(await studentOf(half), await studentOf(undisturbed));
  });
});
