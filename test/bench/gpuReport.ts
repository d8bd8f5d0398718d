/**
 * Everything worth knowing about a machine with a graphics card in one go, in under six minutes: the adapter, whether
 * WebGPU (or, with `--engine tensorflow`, TensorFlow) agrees with the CPU, and times against PyTorch on the same card.
 *
 *     npm run bench:gpu                             from a clone; writes to gpu-report/
 *     node dist/bench/gpuReport.js --out DIR        after `node test/bench/bundleGpuReport.mjs`, with onnxruntime-node and sharp alone
 *
 * Each result is written as soon as it is there, and each item ends after its time: what fails later loses nothing.
 */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

interface Item {
  name: string;
  program: 'adapter' | 'agreement' | 'bench';
  args: readonly string[];
  /** Seconds after which it is ended. */
  limit: number;
  environment?: NodeJS.ProcessEnv;
}

type Outcome = { seconds: number; mostCardMemoryMib: number | null } & (
  | { result: Record<string, unknown> }
  | { failure: string }
);

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'gpu-report' },
    engine: { type: 'string', default: 'webgpu' },
    peer: { type: 'string', default: 'python3' },
    'peer-device': { type: 'string', default: 'cuda' },
    arch: { type: 'string', default: 'ViT-B-16' },
    only: { type: 'string', default: '' },
    minutes: { type: 'string', default: '5.8' },
  },
});

const { engine, arch } = values;
const bench = (
  name: string,
  task: string,
  size: number,
  crops: number,
  runs: number,
  ...more: string[]
): Item => ({
  name,
  program: 'bench',
  args: [
    ...`--json --engine ${engine} --arch ${arch} --task ${task} --size ${size} --crops ${crops} --runs ${runs}`.split(
      ' ',
    ),
    ...['--threads', '0', '--peer', values.peer, '--peer-device', values['peer-device'], ...more],
  ],
  limit: 75,
});
/** The same in mixed precision, without PyTorch, whose time stands in the row before. */
const half = (
  name: string,
  task: string,
  size: number,
  crops: number,
  runs: number,
  ...more: string[]
): Item => bench(`${name}-fp16`, task, size, crops, runs, ...more, '--precision', 'fp16', '--peer', 'none');
const agreement = (name: string, limit: number, ...args: string[]): Item => ({
  name,
  program: 'agreement',
  args: ['--engine', engine, ...args],
  limit,
});

/** TensorFlow may round products to TF32 as PyTorch may. */
const tf32 = (item: Item): Item => ({
  ...item,
  name: `${item.name}-tf32`,
  args: [...item.args, '--peer-tf32'],
  environment: { CLIPSELF_TENSORFLOW_TF32: '1' },
});
/** Without PyTorch, whose memory is not told from ours. */
const alone = (item: Item): Item => ({
  ...item,
  name: `${item.name}-alone`,
  args: [...item.args, '--peer', 'none'],
});

const step = bench('step-448', 'step', 448, 9, 10);
const bigStep = bench('step-1024', 'step', 1024, 20, 4, '--activation-budget', '24');

/** What matters most comes first. */
const onTensorflow: readonly Item[] = [
  agreement('agreement-tiny', 60, '--arch', 'tiny'),
  step,
  agreement('agreement-model', 75, '--arch', arch, '--crops', '4'),
  tf32(step),
  bigStep,
  bench('teacher', 'teacher', 448, 9, 10),
  bench('dense-448', 'dense', 448, 9, 10),
  bench('dense-1024', 'dense', 1024, 20, 6),
  tf32(bigStep),
  alone(step),
  alone(bigStep),
  bench('step-224', 'step', 224, 9, 10),
  bench('dense-224', 'dense', 224, 9, 10),
  agreement('agreement-webgpu', 75, '--arch', arch, '--crops', '4', '--against', 'webgpu'),
];

/** What matters most comes first. */
const onWebGpu: readonly Item[] = [
  { name: 'adapter', program: 'adapter', args: [], limit: 40 },
  agreement('agreement-tiny', 40, '--arch', 'tiny'),
  step,
  half('step-448', 'step', 448, 9, 10),
  bench('teacher', 'teacher', 448, 9, 10),
  half('teacher', 'teacher', 448, 9, 10),
  agreement('agreement-fp16', 60, '--arch', arch, '--crops', '4', '--precision', 'fp16', '--against', engine),
  bench('step-448-tf32', 'step', 448, 9, 10, '--peer-tf32'),
  agreement('agreement-model', 75, '--arch', arch, '--crops', '4'),
  bigStep,
  half('step-1024', 'step', 1024, 20, 4, '--activation-budget', '24'),
  bench('dense-448', 'dense', 448, 9, 10),
  half('dense-448', 'dense', 448, 9, 10),
  bench('dense-1024', 'dense', 1024, 20, 6),
];
const all = engine === 'tensorflow' ? onTensorflow : onWebGpu;
const items = all.filter(({ name }) => values.only === '' || values.only.split(',').includes(name));

/** When everything is to be over, milliseconds. */
const end = performance.now() + 60_000 * Number(values.minutes);

/** In the bundle the programs lie side by side; in a clone they are TypeScript. */
function command(program: string): string[] {
  const own = fileURLToPath(import.meta.url);
  const source = own.endsWith('.ts');
  const file = path.join(path.dirname(own), `${program}${source ? '.ts' : '.js'}`);
  return source ? ['--import=tsx', file] : [file];
}

/** Memory of the first card in use, MiB; null where nvidia-smi does not tell. */
function cardMemory(): Promise<number | null> {
  const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits'];
  return new Promise(resolve => {
    execFile('nvidia-smi', query, { timeout: 5000 }, (error, stdout) => {
      const used = Number.parseInt(stdout, 10);
      resolve(error || Number.isNaN(used) ? null : used);
    });
  });
}

async function runItem({ program, args, limit: own, environment }: Item): Promise<Outcome> {
  const start = performance.now();
  const limit = Math.floor(Math.min(own, (end - start) / 1000));
  if (limit < 5) return { seconds: 0, mostCardMemoryMib: null, failure: 'no time was left' };
  let most: number | null = null;
  const watch = setInterval(async () => {
    const used = await cardMemory();
    if (used !== null) most = Math.max(most ?? 0, used);
  }, 500);
  const env = { ...process.env, ...environment };
  const options = { timeout: limit * 1000, killSignal: 'SIGKILL', maxBuffer: 1 << 26, env } as const;
  const ended = await new Promise<{ result: Record<string, unknown> } | { failure: string }>(resolve => {
    execFile(process.execPath, [...command(program), ...args], options, (error, stdout, stderr) => {
      const line = stdout.trim().split('\n').at(-1) ?? '';
      if (!error && line.startsWith('{')) resolve({ result: JSON.parse(line) as Record<string, unknown> });
      else if (error?.killed)
        resolve({ failure: `no end within ${Math.round(limit)} s\n${stderr.slice(-2000)}` });
      else resolve({ failure: `${error?.message.slice(0, 500) ?? 'no result'}\n${stderr.slice(-3000)}` });
    });
  });
  clearInterval(watch);
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  return { seconds, mostCardMemoryMib: most, ...ended };
}

const shown = (value: unknown): string =>
  typeof value === 'number' ? String(Number(value.toPrecision(4))) : String(value ?? '–');

/** Times of a `bench` item as cells of a row. */
function timeCells(result: Record<string, unknown>): string {
  const peer = (result.peer ?? {}) as Record<string, unknown>;
  const cells = [result.median_s, result.tflops, peer.median_s, peer.tf32 ? 'TF32' : 'fp32', result.ratio];
  return `${cells.map(shown).join(' | ')} | ${shown(peer.peak_device_gib)}`;
}

function report(outcomes: ReadonlyMap<string, Outcome>): string {
  const lines = [
    `# ${engine} on this machine`,
    '',
    `| item | median s | TFLOP/s | PyTorch s | PyTorch's products | ratio (below 1: faster) | PyTorch's card memory GiB | all card memory in use MiB |`,
    '|---|---|---|---|---|---|---|---|',
  ];
  const rest: string[] = [];
  for (const [name, outcome] of outcomes) {
    if ('failure' in outcome) rest.push(`## ${name}: failed`, '', '```', outcome.failure, '```', '');
    else if ('median_s' in outcome.result)
      lines.push(`| ${name} | ${timeCells(outcome.result)} | ${shown(outcome.mostCardMemoryMib)} |`);
    else rest.push(`## ${name}`, '', '```json', JSON.stringify(outcome.result, null, 1), '```', '');
  }
  return `${[...lines, '', ...rest].join('\n')}\n`;
}

await mkdir(values.out, { recursive: true });
const outcomes = new Map<string, Outcome>();
for (const item of items) {
  const outcome = await runItem(item);
  outcomes.set(item.name, outcome);
  await writeFile(path.join(values.out, `${item.name}.json`), `${JSON.stringify(outcome, null, 1)}\n`);
  await writeFile(path.join(values.out, 'report.md'), report(outcomes));
  console.log(
    `${item.name}: ${'failure' in outcome ? outcome.failure : JSON.stringify(outcome.result)} (${outcome.seconds} s)`,
  );
}
