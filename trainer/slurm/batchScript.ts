/** A batch script for Slurm that fine-tunes, saves when Slurm warns of the end, goes back into the queue and goes on. */
import path from 'node:path';
import { quoteWord } from '../shellWord.ts';

/** What is asked of the cluster; null leaves it to the cluster's defaults. */
export interface SlurmResources {
  nodes: number;
  tasksPerNode: number;
  cpusPerTask: number | null;
  gpusPerTask: number | null;
  /** Of a node, such as `64G`. */
  memory: string | null;
  /** Such as `12:00:00` or `2-00:00:00`. */
  time: string | null;
  partition: string | null;
  account: string | null;
  qos: string | null;
}

export interface SlurmRequest extends SlurmResources {
  /** Seconds before the end at which Slurm warns, so that the trainer saves and the job is queued again. */
  warning: number;
  launcher: 'srun' | 'mpirun';
  /** `--mpi` of srun; null: what the cluster takes by default. */
  mpi: string | null;
  /** Lines of shell before the trainer starts, such as `module load openmpi`. */
  setup: readonly string[];
  /** Further options of sbatch, such as `--constraint=a100`. */
  sbatch: readonly string[];
}

export const slurmDefaults: SlurmRequest = {
  nodes: 1,
  tasksPerNode: 1,
  cpusPerTask: null,
  gpusPerTask: null,
  memory: null,
  time: null,
  partition: null,
  account: null,
  qos: null,
  warning: 120,
  launcher: 'srun',
  mpi: null,
  setup: [],
  sbatch: [],
};

/** How the trainer is called. */
export interface TrainerCall {
  /** Node, or what behaves like it. */
  node: string;
  /** The command line's program. */
  program: string;
  /** Of `clipself`, beginning with `train`. */
  args: readonly string[];
  /** Folder that relative paths of the arguments belong to. */
  folder: string;
}

/** Files of a job, beside its run directory: that one is made by the trainer. */
export interface JobFiles {
  script: string;
  /** What the job says. */
  log: string;
  /** Which job it is. */
  record: string;
}

export const jobRecordEnd = '.slurm.json';

export function jobFilesOf(run: string): JobFiles {
  const name = path.resolve(run);
  return { script: `${name}.sbatch`, log: `${name}.slurm.log`, record: `${name}${jobRecordEnd}` };
}

const word = /^[\w.,:+-]+$/;
const wholeNumber = (least: number, most: number) => (value: unknown) =>
  Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
const text = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);

type Rule = [takes: (value: unknown) => boolean, what: string];
const rules: Readonly<Partial<Record<keyof SlurmRequest, Rule>>> = {
  nodes: [wholeNumber(1, 10_000), 'a whole number from 1'],
  tasksPerNode: [wholeNumber(1, 1024), 'a whole number from 1'],
  cpusPerTask: [wholeNumber(1, 1024), 'a whole number from 1'],
  gpusPerTask: [wholeNumber(0, 64), 'a whole number from 0'],
  memory: [text(/^\d+[KMGT]?$/i), 'a number with a unit, such as 64G'],
  time: [
    text(/^\d+(?:-\d{1,2}(?::\d{1,2}){0,2}|(?::\d{1,2}){0,2})$/),
    'minutes, or hours:minutes:seconds, or days-hours:minutes:seconds',
  ],
  partition: [text(word), 'a name'],
  account: [text(word), 'a name'],
  qos: [text(word), 'a name'],
  warning: [wholeNumber(30, 65_535), 'seconds from 30 to 65535'],
  launcher: [value => value === 'srun' || value === 'mpirun', 'srun or mpirun'],
  mpi: [text(word), "a name of 'srun --mpi=list'"],
};

/** What is wrong with a request; null when it can be written. */
export function requestProblem(request: SlurmRequest): { name: keyof SlurmRequest; reason: string } | null {
  for (const [name, [takes, what]] of Object.entries(rules) as [keyof SlurmRequest, Rule][]) {
    const value = request[name];
    if (value !== null && !takes(value)) return { name, reason: `takes ${what}; got '${String(value)}'` };
  }
  for (const name of ['setup', 'sbatch'] as const)
    for (const line of request[name]) if (/[\r\n\0]/.test(line)) return { name, reason: 'takes one line' };
  const options = request.sbatch.find(line => !line.startsWith('-'));
  return options === undefined
    ? null
    : { name: 'sbatch', reason: `takes an option of sbatch; got '${options}'` };
}

/** Machines respect the mark of a trainer that died elsewhere for a minute. */
const markedSeconds = 65;

/**
 * The script. Nothing but checked words is in the lines that Slurm reads; every path is quoted for the shell that runs
 * it.
 *
 * @throws RangeError when the request is not one that `requestProblem` finds right.
 */
export function batchScript(request: SlurmRequest, call: TrainerCall, run: string): string {
  const problem = requestProblem(request);
  if (problem) throw new RangeError(`${problem.name} ${problem.reason}`);
  const { log } = jobFilesOf(run);
  return [
    '#!/bin/bash',
    '# Written by clipself slurm. Fine-tunes; shortly before its time is up it saves, goes back into the queue and goes on.',
    ...directives(request, run).map(option => `#SBATCH ${option}`),
    '',
    `run=${quoted(path.resolve(run))}`,
    `exec >>${quoted(log)} 2>&1`,
    `cd ${quoted(call.folder)} || exit 1`,
    `restarts=\${SLURM_RESTART_COUNT:-0}`,
    'echo "job $SLURM_JOB_ID on $SLURM_JOB_NODELIST, restarts: $restarts"',
    ...request.setup,
    '# VS Code’s own program behaves like Node under this.',
    'export ELECTRON_RUN_AS_NODE=1',
    '# A trainer that was killed on another machine is thought to live for a minute.',
    `if [ "$restarts" -gt 0 ] && [ -e "$run/trainer.json" ]; then sleep ${markedSeconds}; fi`,
    '',
    'outcome=$(mktemp)',
    'warned=0',
    'warn() {',
    '  warned=1',
    '  echo "Slurm warns: saving"',
    '  kill -USR2 "$trainer"',
    '}',
    'trap warn USR1',
    '# Slurm tells the trainer itself to end; the script waits until it has saved.',
    'trap : TERM',
    `${launch(request, call)} </dev/null >"$outcome" &`,
    'trainer=$!',
    '# A signal ends a wait early.',
    'wait "$trainer"; status=$?',
    'while kill -0 "$trainer" 2>/dev/null; do wait "$trainer"; status=$?; done',
    'cat "$outcome"',
    'if [ "$warned" = 1 ] && grep -q \'"state":"stopped"\' "$outcome"; then',
    '  rm -f "$outcome"',
    '  echo "back into the queue"',
    '  scontrol requeue "$SLURM_JOB_ID" && exit 0',
    'fi',
    'rm -f "$outcome"',
    'exit "$status"',
    '',
  ].join('\n');
}

const quoted = (value: string): string => quoteWord(value, 'linux');

function directives(request: SlurmRequest, run: string): string[] {
  const { nodes, tasksPerNode, cpusPerTask, gpusPerTask, memory, time, partition, account, qos } = request;
  const option = (name: string, value: string | number | null): string[] =>
    value === null ? [] : [`--${name}=${value}`];
  return [
    `--job-name=clipself-${path.basename(run).replace(/[^\w.-]/g, '_')}`,
    `--nodes=${nodes}`,
    `--ntasks-per-node=${tasksPerNode}`,
    ...option('cpus-per-task', cpusPerTask),
    ...option('gpus-per-task', gpusPerTask || null),
    ...option('mem', memory),
    ...option('time', time),
    ...option('partition', partition),
    ...option('account', account),
    ...option('qos', qos),
    '--requeue',
    `--signal=B:USR1@${request.warning}`,
    // The script appends to a log of its own, through every start.
    '--output=/dev/null',
    ...request.sbatch,
  ];
}

function launch({ launcher, mpi }: SlurmRequest, { node, program, args }: TrainerCall): string {
  const starter =
    launcher === 'mpirun'
      ? ['mpirun', '--bind-to', 'none']
      : ['srun', '--kill-on-bad-exit=1', ...(mpi === null ? [] : [`--mpi=${mpi}`])];
  return [...starter, node, program, ...args, '--json'].map(quoted).join(' ');
}
