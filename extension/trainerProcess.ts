import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { readLease } from '../trainer/runs/leaseFile.ts';
import { runFiles } from '../trainer/runs/runDirectory.ts';
import { type EditorTerms, inEditorTerms, termsOfRun } from './editorTerms.ts';

/** How a trainer is started. */
export interface TrainerLaunch {
  /** Node, or VS Code's own executable, which behaves as Node under `ELECTRON_RUN_AS_NODE`. */
  executable: string;
  /** Absolute path of the command line's script. */
  script: string;
  /** Arguments of the command line. */
  args: string[];
  /** Run directory that the trainer will create or take up. */
  directory: string;
  /** File for what the trainer prints before it has a log of its own. */
  outputFile: string;
}

/** The trainer ended before it took hold of its run directory. `message` is its own clear line where it left one. */
export class TrainerStartError extends Error {
  override readonly name = 'TrainerStartError';
}

/** The start was given up on the user's wish. */
export class StartCancelledError extends Error {
  override readonly name = 'StartCancelledError';
}

/** Milliseconds between two looks at whether the trainer has taken hold of its run. */
const START_POLL = 150;
/** Only the end of the output is read for the reason of a failure. */
const MAXIMUM_OUTPUT = 64 * 1024;

/**
 * Starts a trainer as a process of its own, in its own group and with its output in a file, so that neither a window's
 * reload nor its closing ends it, and waits until it has written its first record: from then on
 * its directory tells how it fares. Aborting ends the waiting and the trainer (SIGTERM).
 *
 * @throws TrainerStartError when it ends without having begun, StartCancelledError when aborted.
 */
export async function startTrainer(launch: TrainerLaunch, signal?: AbortSignal): Promise<void> {
  await mkdir(path.dirname(launch.outputFile), { recursive: true });
  const sizeBefore = await metricsSize(launch.directory);
  const child = spawnDetached(launch);
  const ended = endOf(child);
  const abort = () => child.kill('SIGTERM');
  signal?.addEventListener('abort', abort, { once: true });
  try {
    for (;;) {
      const result = await Promise.race([ended, delay(START_POLL)]);
      if (signal?.aborted === true) throw new StartCancelledError('The start was cancelled.');
      if (result !== undefined && result.status !== 0) throw await startError(result, launch);
      if (result !== undefined || (await isTraining(launch.directory, child.pid, sizeBefore))) return;
    }
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

function spawnDetached(launch: TrainerLaunch): ChildProcess {
  const output = openSync(launch.outputFile, 'w');
  try {
    const child = spawn(launch.executable, [launch.script, ...launch.args], {
      detached: true,
      windowsHide: true,
      stdio: ['ignore', output, output],
      cwd: path.dirname(launch.script),
      env: trainerEnvironment(process.env),
    });
    child.unref();
    return child;
  } finally {
    closeSync(output);
  }
}

let engineVariables: () => NodeJS.ProcessEnv = () => ({});

/** Says what every trainer is told about engines beside its arguments; asked anew for each. */
export function provideEngineVariables(read: () => NodeJS.ProcessEnv): void {
  engineVariables = read;
}

/** The environment without what VS Code sets for its own extension host: it would change how Node behaves. What is set there wins over `provideEngineVariables`. */
export function trainerEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(
    ([name]) => !name.startsWith('VSCODE_') && !name.startsWith('ELECTRON_') && name !== 'NODE_OPTIONS',
  );
  return { ...engineVariables(), ...Object.fromEntries(kept), ELECTRON_RUN_AS_NODE: '1' };
}

/** How a process ended: exit status, or the signal or system error that ended it. */
interface ProcessEnd {
  status: number | null;
  signal: NodeJS.Signals | null;
  problem: string | null;
}

function endOf(child: ChildProcess): Promise<ProcessEnd> {
  return new Promise(resolve => {
    child.once('error', error => resolve({ status: null, signal: null, problem: error.message }));
    child.once('exit', (status, signal) => resolve({ status, signal, problem: null }));
  });
}

function delay(milliseconds: number): Promise<undefined> {
  return new Promise(resolve => setTimeout(resolve, milliseconds, undefined));
}

/** Whether this process holds the run and has added to its records: before that, a failure shows in its output only. */
async function isTraining(directory: string, pid: number | undefined, sizeBefore: number): Promise<boolean> {
  const found = await readLease(directory).catch(() => null);
  return found?.lease?.pid === pid && (await metricsSize(directory)) > sizeBefore;
}

async function metricsSize(directory: string): Promise<number> {
  return stat(runFiles(directory).metrics).then(
    status => status.size,
    () => 0,
  );
}

async function startError(
  end: ProcessEnd,
  { directory, outputFile }: TrainerLaunch,
): Promise<TrainerStartError> {
  if (end.problem !== null) return new TrainerStartError(`The trainer could not be started: ${end.problem}`);
  const output = await readFile(outputFile, 'utf8').catch(() => '');
  const line = clearLine(output, await termsOfRun(directory));
  if (end.signal !== null) {
    return new TrainerStartError(`The trainer was ended by ${end.signal}.${line === null ? '' : ` ${line}`}`);
  }
  return new TrainerStartError(line ?? `The trainer ended with status ${end.status} and said nothing.`);
}

/**
 * The line that says why a command failed: the last one with text that is no stack frame, without the program's name
 * in front, in the terms of VS Code.
 */
export function clearLine(output: string, terms?: EditorTerms): string | null {
  const lines = output
    .slice(-MAXIMUM_OUTPUT)
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('at ') && !/^Node\.js v/.test(line));
  const line = lines.at(-1)?.replace(/^(?:clipself|error):\s*/i, '');
  return line === undefined ? null : inEditorTerms(line, terms);
}
