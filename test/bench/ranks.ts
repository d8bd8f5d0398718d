/**
 * Steps shared by ranks: `npm run bench:ranks -- [--ranks 2] [--images 4] [--arch ViT-B-16] [--size 224] [--steps 4]
 * [--bucket MIB] [--link 1gbit [--delay MICROSECONDS]] [--weights FILE]`. The same images a step whatever the number of ranks,
 * one thread each unless told otherwise. With `--link` every rank is a machine of its own behind a link of that bandwidth, and
 * of that delay one way (as root, on Linux, with Open MPI; delays with a C compiler). `model` is what docs/scaling.md foretells.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import type { HostTensor } from '../../trainer/checkpoints/hostTensor.ts';
import { writeJson } from '../../trainer/checkpoints/jsonFile.ts';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import {
  clipNormalisation,
  toOpenClipConfiguration,
} from '../../trainer/checkpoints/openClipConfiguration.ts';
import { writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import {
  requireTransformer,
  type VisionArchitecture,
  visionTensorShapes,
} from '../../trainer/models/architecture.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { uniform } from '../support/randomTower.ts';
import { buildTrainer, textOf, trainerProgram, writeTinyImages } from '../support/trainingFixture.ts';
import { type LinkMeasurement, limitedMachines, linkObstacle, type Machines } from './limitedLink.ts';
import { stepModel, stepTime } from './scalingModel.ts';

const { values } = parseArgs({
  options: {
    ranks: { type: 'string', default: '2' },
    images: { type: 'string', default: '4' },
    arch: { type: 'string', default: 'ViT-B-16' },
    size: { type: 'string', default: '224' },
    steps: { type: 'string', default: '4' },
    threads: { type: 'string', default: '1' },
    bucket: { type: 'string', default: '8' },
    link: { type: 'string' },
    delay: { type: 'string', default: '0' },
    weights: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [ranks, images, steps] = [values.ranks, values.images, values.steps].map(Number) as [
  number,
  number,
  number,
];
const architecture = knownArchitectures.get(values.arch);
if (!architecture) throw new Error(`--arch is one of ${[...knownArchitectures.keys()].join(', ')}`);

const link =
  values.link === undefined ? null : { rate: values.link, delayMicroseconds: Number(values.delay) };
const obstacle = link && linkObstacle(link);
if (obstacle) {
  console.log(`nothing was measured: ${obstacle}`);
  process.exit();
}

await buildTrainer();
const folder = await mkdtemp(path.join(tmpdir(), 'clipself-ranks-'));
let machines: Machines | null = null;
let measured: LinkMeasurement | null = null;
try {
  const weights = values.weights ?? path.join(folder, 'model.safetensors');
  await writeTinyImages(path.join(folder, 'images'), images * (steps + 1));
  await writeJson(
    path.join(folder, 'open_clip_config.json'),
    toOpenClipConfiguration({ architecture, normalisation: clipNormalisation }),
  );
  if (values.weights === undefined) await writeRandomWeights(weights, architecture);
  if (link) {
    machines = await limitedMachines(ranks, link, folder);
    measured = await machines.measure();
  }

  const run = path.join(folder, 'run');
  const plain = ranks === 1 ? [] : ['mpirun.openmpi', '--oversubscribe'];
  const launcher = machines?.launcher ?? plain;
  const environment = {
    ...process.env,
    OMPI_ALLOW_RUN_AS_ROOT: '1',
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
    CLIPSELF_GRADIENT_BUCKET_MIB: values.bucket,
  };
  const ofLauncher =
    launcher.length === 0
      ? []
      : ['--bind-to', 'none', '-x', 'CLIPSELF_GRADIENT_BUCKET_MIB', '-n', String(ranks)];
  const training = [
    ...['train', '--model', weights, '--arch', path.join(folder, 'open_clip_config.json')],
    ...['--images', path.join(folder, 'images'), '--out', run, '--size', values.size, '--max-split', '1'],
    ...['--max-boxes', '1', '--batch', String(images / ranks), '--epochs', '1', '--hold-out', '0'],
    ...[
      '--threads',
      values.threads,
      '--engine',
      'cpu',
      '--checkpoint-every',
      '100000',
      '--compare-weights-every',
      '100000',
    ],
  ];
  const sentBefore = machines?.sentBytes() ?? [];
  const [program, ...args] = [...launcher, ...ofLauncher, process.execPath, trainerProgram, ...training];
  await promisify(execFile)(program!, args, { env: environment });
  const sent = machines?.sentBytes().map((bytes, machine) => bytes - sentBefore[machine]!) ?? [];

  const times = (await readMetricHistory(runFiles(run).metrics)).steps.map(({ time }) => time);
  // Programs are compiled in the first step.
  const seconds = times
    .slice(1)
    .map((time, index) => (time - times[index]!) / 1000)
    .sort((a, b) => a - b);
  const exchange =
    /exchanged ([\d.]+) MiB of gradients in (\d+) buckets \((\d+) % back.*took ([\d.]+) ms.*waited ([\d.]+) ms/.exec(
      textOf(runFiles(run).log),
    );
  const medianSeconds = seconds[Math.floor(seconds.length / 2)]!;
  const waitSeconds = Number(exchange?.[5] ?? 0) / 1000;
  const result = {
    arch: values.arch,
    size: Number(values.size),
    ranks,
    link: values.link ?? 'memory',
    delayMs: Number(values.delay) / 1000,
    measuredLink: measured,
    threads: Number(values.threads),
    imagesPerStep: images,
    medianSeconds,
    minSeconds: seconds[0]!,
    maxSeconds: seconds.at(-1)!,
    mibPerStep: Number(exchange?.[1] ?? 0),
    buckets: Number(exchange?.[2] ?? 0),
    bucketsMeanwhilePercent: Number(exchange?.[3] ?? 0),
    exchangeSeconds: Number(exchange?.[4] ?? 0) / 1000,
    waitSeconds,
    model: measured && foretold(measured, medianSeconds - waitSeconds),
    /** Of each machine in all steps, the exchange of words among them. */
    sentMib: sent.map(bytes => Math.round(bytes / 2 ** 20)),
  };
  console.log(JSON.stringify(result, null, values.json ? 0 : 2));
} finally {
  await machines?.remove();
  await rm(folder, { recursive: true, force: true });
}

/** On the measured link, for a rank that computes so long. */
function foretold({ roundTripMs, bitsPerSecond }: LinkMeasurement, compute: number) {
  const step = stepModel(requireTransformer(architecture!, 'blocks'), {
    ...{ size: Number(values.size), crops: 1, imagesPerRank: images / ranks, unlockedBlocks: 12 },
  });
  const network = { name: '', bandwidth: bitsPerSecond / 8, delay: roundTripMs / 2000 };
  // Copies within memory are part of what was computed.
  const machine = { rate: step.work / compute, hostBandwidth: Number.POSITIVE_INFINITY };
  const bucketBytes = Number(values.bucket) * 2 ** 20;
  // What Open MPI 4 came closest to (docs/scaling.md).
  const plan = { reduction: 'tree', numberBytes: 4, accumulate: 1, bucketBytes } as const;
  const { exchange, exposed } = stepTime(step, ranks, network, machine, plan);
  return { exchangeSeconds: exchange, waitSeconds: exposed, stepSeconds: compute + exposed };
}

async function writeRandomWeights(file: string, shaped: VisionArchitecture): Promise<void> {
  const tensors = new Map<string, HostTensor>();
  for (const [name, shape] of visionTensorShapes(shaped)) {
    const size = shape.reduce((product, length) => product * length, 1);
    tensors.set(name, { shape: [...shape], dtype: 'float32', data: uniform(size, 0.04, tensors.size) });
  }
  await writeSafetensors(file, tensors);
}
