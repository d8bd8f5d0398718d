/**
 * The exchange of a step alone, against the formulas of docs/scaling.md: `npm run bench:sums -- [--ranks 2] [--rate 1gbit]
 * [--delays 0,100,500,2000] [--mib 324] [--bucket 8]`, delays in microseconds one way. Machines are network namespaces (as
 * root, on Linux, with Open MPI; delays with a C compiler). Each delay: the median of three exchanges after one.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { inWorld } from '../../trainer/distributed/inWorld.ts';
import { findLaunch } from '../../trainer/distributed/launcher.ts';
import { leads, type World } from '../../trainer/distributed/world.ts';
import { limitedMachines, linkObstacle } from './limitedLink.ts';
import { allReduceSeconds } from './scalingModel.ts';

const { values } = parseArgs({
  options: {
    ranks: { type: 'string', default: '2' },
    rate: { type: 'string', default: '1gbit' },
    delays: { type: 'string', default: '0,100,500,2000' },
    mib: { type: 'string', default: '324' },
    bucket: { type: 'string', default: '8' },
  },
});
const [ranks, mib, bucketMib] = [Number(values.ranks), Number(values.mib), Number(values.bucket)];
const buckets = Math.ceil(mib / bucketMib);
const rounds = 4;

/** A rank: hands all buckets over at once, as a backward pass does that takes no time. */
async function exchange(world: World): Promise<void> {
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const numbers = Array.from({ length: buckets }, () =>
      new Float32Array((bucketMib * 2 ** 20) / 4).fill(1),
    );
    // All begin at once.
    await world.sum(Float64Array.of(1));
    const start = performance.now();
    const sums = await Promise.all(numbers.map(array => world.sum(array)));
    seconds.push((performance.now() - start) / 1000);
    if (!sums.every(sum => sum[0] === world.size && sum.at(-1) === world.size)) throw new Error('wrong sums');
  }
  const measured = seconds.slice(1).sort((a, b) => a - b);
  if (leads(world)) console.log(JSON.stringify(measured[Math.floor(measured.length / 2)]));
}

async function measure(delayMicroseconds: number, folder: string) {
  const machines = await limitedMachines(ranks, { rate: values.rate, delayMicroseconds }, folder);
  try {
    const link = await machines.measure();
    const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
    const rank = ['--import', loader, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
    const [program, ...args] = [
      ...[...machines.launcher, '--bind-to', 'none', '-n', String(ranks), process.execPath, ...rank],
    ];
    const environment = { ...process.env, OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' };
    const { stdout } = await promisify(execFile)(program!, args, { env: environment, timeout: 120_000 });
    const network = { name: '', bandwidth: link.bitsPerSecond / 8, delay: link.roundTripMs / 2000 };
    const foretold = (kind: 'ring' | 'tree'): number =>
      buckets * allReduceSeconds(kind, bucketMib * 2 ** 20, ranks, network);
    return {
      ...{ ranks, rate: values.rate, delayMs: delayMicroseconds / 1000, ...link },
      ...{ exchangeSeconds: Number(stdout), ring: foretold('ring'), tree: foretold('tree') },
    };
  } finally {
    await machines.remove();
  }
}

if (findLaunch()) await inWorld(exchange);
else {
  const delays = values.delays.split(',').map(Number);
  const obstacle = linkObstacle({ rate: values.rate, delayMicroseconds: Math.max(...delays) });
  if (obstacle) console.log(`nothing was measured: ${obstacle}`);
  else {
    const folder = await mkdtemp(path.join(tmpdir(), 'clipself-sums-'));
    try {
      for (const delay of delays) console.log(JSON.stringify(await measure(delay, folder)));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}
