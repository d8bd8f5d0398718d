import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeText } from '../checkpoints/atomicFile.ts';
import {
  batchScript,
  jobFilesOf,
  requestProblem,
  type SlurmRequest,
  slurmDefaults,
} from '../slurm/batchScript.ts';
import { submitJob } from '../slurm/queue.ts';
import { SettingError } from '../training/settings.ts';
import { UsageError } from '../usageError.ts';
import { outputOptions } from './commonOptions.ts';
import { readTrainArguments } from './train.ts';

const help = `usage: clipself slurm [options] -- --model M --images DIR --out RUN [options of clipself train]

Writes a batch script for Slurm, RUN.sbatch, that fine-tunes on the ranks asked for; with --submit it is handed in. Some
time before the job's end Slurm warns it: all ranks save after their step, the job goes back into the queue, and goes on
there. The job's words go to RUN.slurm.log, its number to RUN.slurm.json.

  --submit             hand the script in (sbatch)
  --script F           where the script goes; RUN.sbatch without it
  --nodes N            machines; ${slurmDefaults.nodes} without it
  --tasks-per-node N   ranks on each; ${slurmDefaults.tasksPerNode} without it
  --cpus-per-task N, --gpus-per-task N, --mem 64G, --time 12:00:00, --partition P, --account A, --qos Q
                       as sbatch has them; the cluster's defaults without them
  --warning S          seconds before the end at which Slurm warns; ${slurmDefaults.warning} without it. Saving has to fit in
  --launcher NAME      srun (default) or mpirun
  --mpi TYPE           what srun starts MPI with: pmix for Open MPI, pmi2 for MPICH ('srun --mpi=list')
  --setup LINE         shell before the trainer starts, such as 'module load openmpi'; several times for several lines
  --sbatch OPTION      another option of sbatch, such as --sbatch=--constraint=a100; several times
  --node F             the node program on the machines that train; this one without it
  --json`;

const options = {
  submit: { type: 'boolean', default: false },
  script: { type: 'string' },
  nodes: { type: 'string' },
  'tasks-per-node': { type: 'string' },
  'cpus-per-task': { type: 'string' },
  'gpus-per-task': { type: 'string' },
  mem: { type: 'string' },
  time: { type: 'string' },
  partition: { type: 'string' },
  account: { type: 'string' },
  qos: { type: 'string' },
  warning: { type: 'string' },
  launcher: { type: 'string' },
  mpi: { type: 'string' },
  setup: { type: 'string', multiple: true },
  sbatch: { type: 'string', multiple: true },
  node: { type: 'string' },
  ...outputOptions,
} as const;

/** `clipself slurm`. */
export async function slurmCommand(args: string[]): Promise<void> {
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  const { values } = parseArgs({ args: args.slice(0, end), options });
  if (values.help) {
    console.log(help);
    return;
  }
  const training = args.slice(end + 1);
  if (training.length === 0)
    throw new UsageError("slurm needs the options of clipself train after '--' (clipself slurm --help)");
  const { directory } = await readTrainArguments(training);
  const request = requestOf(values);
  const script = values.script === undefined ? jobFilesOf(directory).script : path.resolve(values.script);
  // Resolved from this module: the bundle is the program itself.
  const program = fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? '../cli.ts' : './cli.js', import.meta.url),
  );
  const call = {
    node: values.node ?? process.execPath,
    program,
    args: ['train', ...training.filter(option => option !== '--json')],
    folder: process.cwd(),
  };
  await writeText(script, batchScript(request, call, directory));
  const job = values.submit ? (await submitJob(script, directory)).job : null;
  if (values.json) console.log(JSON.stringify({ script, job, directory }));
  else console.log(job === null ? `sbatch ${script}` : `job ${job}: ${script}`);
}

type Values = Readonly<Record<string, string | boolean | string[] | undefined>>;

/** Options of sbatch as the request has them. */
const names: Readonly<Record<Exclude<keyof SlurmRequest, 'setup' | 'sbatch'>, string>> = {
  nodes: 'nodes',
  tasksPerNode: 'tasks-per-node',
  cpusPerTask: 'cpus-per-task',
  gpusPerTask: 'gpus-per-task',
  memory: 'mem',
  time: 'time',
  partition: 'partition',
  account: 'account',
  qos: 'qos',
  warning: 'warning',
  launcher: 'launcher',
  mpi: 'mpi',
};
const numeric: ReadonlySet<string> = new Set([
  ...['nodes', 'tasksPerNode', 'cpusPerTask', 'gpusPerTask', 'warning'],
]);

function requestOf(values: Values): SlurmRequest {
  const given: Record<string, unknown> = { setup: values.setup ?? [], sbatch: values.sbatch ?? [] };
  for (const [name, option] of Object.entries(names)) {
    const value = values[option];
    if (typeof value === 'string')
      given[name] = numeric.has(name) && /^\d+$/.test(value) ? Number(value) : value;
  }
  const request = { ...slurmDefaults, ...given };
  const problem = requestProblem(request);
  if (!problem) return request;
  const option = { setup: 'setup', sbatch: 'sbatch', ...names }[problem.name];
  throw new SettingError(`--${option} ${problem.reason}`);
}
