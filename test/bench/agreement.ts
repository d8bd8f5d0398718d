/**
 * The same training on two engines, or at two precisions: forward, every gradient of the first step, losses and weights after five AdamW
 * steps. `tsx test/bench/agreement.ts --engine webgpu --arch tiny|ViT-B-16|…  [--precision fp16]
 * [--size 224] [--crops 4]` prints one JSON line.
 */
import { parseArgs } from 'node:util';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { Distiller } from '../../trainer/distill/distiller.ts';
import { publishedAdamW } from '../../trainer/distill/optimiser.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import { createEngine } from '../../trainer/engines/createEngine.ts';
import { readFloats } from '../../trainer/engines/engine.ts';
import type { VisionArchitecture } from '../../trainer/models/architecture.ts';
import { type Precision, precisions } from '../../trainer/models/stagePrecision.ts';
import { randomWeights } from '../support/randomTower.ts';
import { tinyArchitecture } from '../support/trainingFixture.ts';
import { gridBatch } from './gridBatch.ts';

const steps = 5;
const learningRate = 1e-5;

interface Trace {
  losses: number[];
  gradNorms: number[];
  cosines: Float32Array;
  gradients: Map<string, Float32Array>;
  /** Change of each weight over the steps. */
  updates: Map<string, Float32Array>;
  weights: Map<string, Float32Array>;
}

async function trace(
  name: string,
  precision: Precision,
  architecture: VisionArchitecture,
  size: number,
  crops: number,
): Promise<Trace> {
  const engine = await createEngine(name, 0);
  const weights = randomWeights(engine, architecture);
  const distiller = await Distiller.create(
    engine,
    architecture,
    weights,
    trainableNames(architecture, weights.keys(), architecture.layers),
    {
      size,
      cropSize: architecture.imageSize,
      maxBoxes: crops,
      optimiser: { ...publishedAdamW(architecture.kind), weightDecay: 0.1 },
      activationBudget: 2 * 2 ** 30,
      precision,
    },
  );
  const read = async (tensor: string): Promise<Float32Array> =>
    readFloats(engine, distiller.studentParameters.get(tensor)!);
  const found: Trace = {
    losses: [],
    gradNorms: [],
    cosines: new Float32Array(),
    gradients: new Map(),
    updates: new Map(),
    weights: new Map(),
  };
  // The optimiser is the one place that sees all gradients.
  const { optimiser } = distiller;
  const apply = optimiser.apply.bind(optimiser);
  optimiser.apply = async (tensor, gradient) => {
    // Of a scaled loss, a power of two.
    const scale = distiller.lossScale?.scale ?? 1;
    const values = await readFloats(engine, gradient);
    found.gradients.set(
      tensor,
      values.map(value => value / scale),
    );
    await apply(tensor, gradient);
  };
  const before = new Map<string, Float32Array>();
  for (const tensor of distiller.trainable) before.set(tensor, await read(tensor));
  for (let step = 1; step <= steps; step++) {
    const result = await distiller.step(gridBatch({ size, crops }, architecture), step, learningRate);
    if (step === 1) {
      optimiser.apply = apply;
      found.cosines = Float32Array.from(result.cosines.flat());
    }
    found.losses.push(result.loss);
    found.gradNorms.push(result.gradNorm);
  }
  for (const tensor of distiller.trainable) {
    const after = await read(tensor);
    const start = before.get(tensor)!;
    found.weights.set(tensor, after);
    found.updates.set(
      tensor,
      after.map((value, index) => value - start[index]!),
    );
  }
  await distiller.dispose();
  await engine.dispose();
  return found;
}

const norm = (values: ArrayLike<number>): number =>
  Math.sqrt(Array.from(values).reduce((sum, value) => sum + value * value, 0));

/** ‖a − b‖ / ‖b‖. */
function relative(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const difference = new Float64Array(b.length);
  for (let index = 0; index < b.length; index++) difference[index] = a[index]! - b[index]!;
  return norm(difference) / Math.max(norm(b), 1e-30);
}

/** The tensor that differs most, by `relative`. */
function worst(a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>): object {
  const all = [...b].map(([name, values]) => ({ name, relative: relative(a.get(name)!, values) }));
  const top = all.reduce((most, each) => (each.relative > most.relative ? each : most));
  return { maxRelative: top.relative, at: top.name, tensors: all.length };
}

/** Key rows of a packed bias have no gradient but rounding noise, which Adam amplifies: they are not compared. */
function withoutKeyRows(tensors: ReadonlyMap<string, Float32Array>): Map<string, Float32Array> {
  return new Map(
    [...tensors].map(([name, values]) => {
      if (!name.endsWith('attn.in_proj_bias')) return [name, values];
      const width = values.length / 3;
      return [name, Float32Array.of(...values.subarray(0, width), ...values.subarray(2 * width))];
    }),
  );
}

const { values } = parseArgs({
  options: {
    engine: { type: 'string', default: 'webgpu' },
    precision: { type: 'string', default: 'fp32' },
    against: { type: 'string', default: 'cpu' },
    arch: { type: 'string', default: 'tiny' },
    size: { type: 'string' },
    crops: { type: 'string', default: '4' },
  },
});
const architecture = values.arch === 'tiny' ? tinyArchitecture : knownArchitectures.get(values.arch);
if (!architecture) throw new Error(`there is no architecture '${values.arch}'`);
const size = Number(values.size ?? architecture.imageSize);
const crops = Number(values.crops);
const precision = precisions.find(known => known === values.precision);
if (!precision) throw new Error(`--precision is one of ${precisions.join(', ')}`);
const own = await trace(values.engine, precision, architecture, size, crops);
const reference = await trace(values.against, 'fp32', architecture, size, crops);
console.log(
  JSON.stringify({
    engine: values.engine,
    precision,
    against: values.against,
    arch: values.arch,
    size,
    crops,
    losses: own.losses,
    referenceLosses: reference.losses,
    lossMaxAbs: Math.max(...own.losses.map((loss, step) => Math.abs(loss - reference.losses[step]!))),
    gradNormMaxRelative: Math.max(
      ...own.gradNorms.map((value, step) => Math.abs(value / reference.gradNorms[step]! - 1)),
    ),
    cosinesMaxAbs: Math.max(...own.cosines.map((value, box) => Math.abs(value - reference.cosines[box]!))),
    gradients: worst(withoutKeyRows(own.gradients), withoutKeyRows(reference.gradients)),
    weightsAfter5: worst(withoutKeyRows(own.weights), withoutKeyRows(reference.weights)),
    updatesOf5: worst(withoutKeyRows(own.updates), withoutKeyRows(reference.updates)),
  }),
);
