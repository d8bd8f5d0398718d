/** Times a task on random weights and, where PyTorch is installed, the same task there: `npm run bench -- --task step`. */
import { parseArgs } from 'node:util';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { Distiller } from '../../trainer/distill/distiller.ts';
import { publishedAdamW } from '../../trainer/distill/optimiser.ts';
import { trainableNames } from '../../trainer/distill/trainableParameters.ts';
import { createEngine } from '../../trainer/engines/createEngine.ts';
import type { Engine } from '../../trainer/engines/engine.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { loadTensorflow } from '../../trainer/engines/tensorflow/loadTensorflow.ts';
import { FrozenPrograms } from '../../trainer/models/frozenPrograms.ts';
import { type Precision, precisions } from '../../trainer/models/stagePrecision.ts';
import { PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import { randomWeights } from '../support/randomTower.ts';
import { gridBatch } from './gridBatch.ts';
import { TorchPeer } from './torchPeer.ts';
import { countWork } from './work.ts';

const tasks = ['step', 'dense', 'teacher'] as const;
type Task = (typeof tasks)[number];

interface Options {
  task: Task;
  arch: string;
  size: number;
  crops: number;
  runs: number;
  engine: string;
  precision: Precision;
  threads: number;
  /** Whether programs have the weights or are fed them, as for single images. */
  weights: 'laid-out' | 'fed';
  /** GiB of student activations that a step may keep. */
  activation_budget: number;
  peer_device: 'cpu' | 'cuda';
  peer_tf32: boolean;
}

function readOptions(): Options & { json: boolean; peer: string } {
  const { values } = parseArgs({
    options: {
      task: { type: 'string', default: 'step' },
      arch: { type: 'string', default: 'ViT-B-16-quickgelu' },
      size: { type: 'string', default: '448' },
      crops: { type: 'string', default: '9' },
      runs: { type: 'string', default: '5' },
      engine: { type: 'string', default: 'cpu' },
      precision: { type: 'string', default: 'fp32' },
      threads: { type: 'string', default: '2' },
      'activation-budget': { type: 'string', default: '8' },
      peer: { type: 'string', default: process.env.CLIPSELF_PEER_PYTHON ?? 'python3' },
      weights: { type: 'string', default: 'laid-out' },
      'peer-device': { type: 'string', default: 'cpu' },
      'peer-tf32': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const task = tasks.find(known => known === values.task);
  if (!task) throw new Error(`--task is one of ${tasks.join(', ')}`);
  const precision = precisions.find(known => known === values.precision);
  if (!precision) throw new Error(`--precision is one of ${precisions.join(', ')}`);
  const count = (name: 'size' | 'crops' | 'runs' | 'threads'): number => {
    const number = Number(values[name]);
    if (!Number.isInteger(number) || number < (name === 'threads' ? 0 : 1))
      throw new Error(`--${name} takes a whole number, got '${values[name]}'`);
    return number;
  };
  const device = values['peer-device'];
  if (device !== 'cpu' && device !== 'cuda') throw new Error('--peer-device is cpu or cuda');
  const { weights } = values;
  if (weights !== 'laid-out' && weights !== 'fed') throw new Error('--weights is laid-out or fed');
  return {
    task,
    weights,
    arch: values.arch,
    size: count('size'),
    crops: count('crops'),
    runs: count('runs'),
    threads: count('threads'),
    activation_budget: Number(values['activation-budget']),
    engine: values.engine,
    precision,
    peer_device: device,
    peer_tf32: values['peer-tf32'],
    peer: values.peer,
    json: values.json,
  };
}

interface Prepared {
  run: (index: number) => Promise<void>;
  engine: Engine;
  /** Tensors that TensorFlow holds, whoever made them; null of other engines. */
  held: () => number | null;
  /** Floating-point operations of products since the engine started. */
  work: () => number;
  dispose: () => Promise<void>;
}

async function start({ engine: name, threads }: Options): Promise<Pick<Prepared, 'engine' | 'held'>> {
  if (name !== 'tensorflow') return { engine: await createEngine(name, threads), held: () => null };
  const { tf, engine } = await loadTensorflow(threads);
  return { engine, held: () => tf.memory().numTensors };
}

async function prepare(options: Options): Promise<Prepared> {
  const architecture = knownArchitectures.get(options.arch);
  if (!architecture)
    throw new Error(`--arch is one of ${[...knownArchitectures.keys()].join(', ')}; got '${options.arch}'`);
  const { engine, held } = await start(options);
  const work = countWork(engine);
  const weights = randomWeights(engine, architecture);
  const batch = gridBatch(options, architecture);
  if (options.task === 'step') {
    const distiller = await Distiller.create(
      engine,
      architecture,
      weights,
      trainableNames(architecture, weights.keys(), architecture.layers),
      {
        size: options.size,
        cropSize: architecture.imageSize,
        maxBoxes: options.crops,
        optimiser: { ...publishedAdamW(architecture.kind), weightDecay: 0.1 },
        activationBudget: options.activation_budget * 2 ** 30,
        precision: options.precision,
      },
    );
    const run = async (index: number): Promise<void> => {
      await distiller.step(batch, index + 1, 1e-5);
    };
    return { run, engine, held, work, dispose: () => distiller.dispose() };
  }
  const programs = new ProgramCache(engine);
  const laidOut = options.weights === 'laid-out' && options.precision === 'fp32';
  const frozen = laidOut ? new FrozenPrograms(engine, weights) : null;
  const tower = new VisionTower(
    architecture,
    weights,
    programs,
    new PositionInterpolations(engine, architecture),
    options.precision,
    frozen,
  );
  const pixels =
    options.task === 'dense'
      ? engine.upload([1, 3, options.size, options.size], batch.images)
      : engine.upload([options.crops, 3, architecture.imageSize, architecture.imageSize], batch.crops);
  const run = async (): Promise<void> => {
    const result =
      options.task === 'dense' ? await tower.encodeDense(pixels) : await tower.encodeImage(pixels);
    // Only then is it there: a card is still at work when a program has been run.
    await engine.read(result);
    result.dispose();
  };
  return { run, engine, held, work, dispose: () => programs.dispose() };
}

interface Timing {
  median_s: number;
  min_s: number;
  max_s: number;
}

function timingOf(seconds: readonly number[]): Timing {
  const sorted = [...seconds].sort((a, b) => a - b);
  return {
    median_s: round(sorted[Math.floor(sorted.length / 2)]!),
    min_s: round(sorted[0]!),
    max_s: round(sorted.at(-1)!),
  };
}

const round = (value: number, digits = 3): number => Number(value.toFixed(digits));

/** Runs the task here and in PyTorch by turns, so that what else the machine does weighs on both alike. */
async function measure(options: Options, python: string) {
  const { run, engine, held, work, dispose } = await prepare(options);
  await run(0);
  const [before, heldBefore] = [work(), held()];
  const peer = await TorchPeer.start(python, options);
  const [own, theirs]: [number[], number[]] = [[], []];
  for (let index = 1; index <= options.runs; index++) {
    const start = performance.now();
    await run(index);
    own.push((performance.now() - start) / 1000);
    if (peer) theirs.push(await peer.run());
  }
  const engineVersion = engine.version;
  const tensors = heldBefore === null ? {} : { held_tensors: [heldBefore, held()] };
  const teraflop = (work() - before) / options.runs / 1e12;
  await dispose();
  await engine.dispose();
  const peakRssGib = round(process.resourceUsage().maxRSS / 2 ** 20, 2);
  const timing = timingOf(own);
  const tflops = round(teraflop / timing.median_s);
  return {
    own: {
      ...timing,
      teraflop: round(teraflop),
      tflops,
      peak_rss_gib: peakRssGib,
      engineVersion,
      ...tensors,
    },
    peer: peer ? { ...timingOf(theirs), ...(await peer.finish()) } : null,
  };
}

const { json, peer: python, ...options } = readOptions();
const { own, peer } = await measure(options, python);
const perSecond = round(1 / own.median_s);
console.error(
  `${options.task} ${options.arch} ${options.size} px, ${options.crops} crops, ${own.engineVersion}, ${options.precision}, ${options.threads} threads`,
);
console.error(
  `  clipself  ${own.median_s} s (${own.min_s} to ${own.max_s}), ${perSecond} images/s, ${own.tflops} TFLOP/s in products, peak ${own.peak_rss_gib} GiB`,
);
const ratio = peer ? round(own.median_s / peer.median_s) : null;
if (peer) {
  console.error(
    `  PyTorch ${peer.torch} on ${peer.device ?? 'cpu'}${peer.tf32 ? ' with TF32' : ''}  ${peer.median_s} s (${peer.min_s} to ${peer.max_s}), peak ${peer.peak_rss_gib} GiB`,
  );
  console.error(`  ratio ${ratio} (below 1: faster than PyTorch)`);
} else console.error(`  no PyTorch to compare with under '${python}' (--peer names another interpreter)`);
if (json) console.log(JSON.stringify({ ...options, images_per_second: perSecond, ...own, peer, ratio }));
