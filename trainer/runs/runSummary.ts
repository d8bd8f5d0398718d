import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { naming } from '../checkpoints/fileError.ts';
import { readJson } from '../checkpoints/jsonFile.ts';
import type { EventRecord, RunConfiguration, RunState, RunSummary, StepRecord } from '../protocol.ts';
import { isLeaseLive, readLease } from './leaseFile.ts';
import type { MetricHistory } from './metricRecords.ts';
import { readMetricHistory } from './metrics.ts';
import { readAnyConfiguration } from './pretrainConfiguration.ts';
import { isRunConfiguration } from './runConfiguration.ts';
import { runFiles } from './runDirectory.ts';

type RunEvent = EventRecord['event'];

/** Events that say where a run stands; warnings do not. */
function lastTurn(history: MetricHistory): RunEvent | undefined {
  return history.events.findLast(({ event }) => event.kind !== 'warning')?.event;
}

/**
 * Where a run stands, from its records and its trainer.
 *
 * @param trainerStarted When the live trainer took the run, milliseconds since the Unix epoch; null when none lives.
 */
export function runState(history: MetricHistory, trainerStarted: number | null): RunState {
  const turn = lastTurn(history);
  const saidGoodbye = turn?.kind === 'finished' || turn?.kind === 'stopped' || turn?.kind === 'failed';
  // A goodbye from before the live trainer's start was its predecessor's.
  if (saidGoodbye && (trainerStarted === null || turn.time >= trainerStarted)) return turn.kind as RunState;
  if (trainerStarted === null) return 'interrupted';
  const latest = history.steps.at(-1);
  return latest !== undefined && latest.time >= trainerStarted ? 'running' : 'starting';
}

/** The remaining time is judged by this many latest steps. */
const etaWindow = 20;

/** Median milliseconds from one step to the next, of the latest steps since the trainer started; null when unknown. */
function stepMilliseconds(steps: readonly StepRecord[], since: number): number | null {
  const times = steps.slice(-etaWindow - 1).filter(({ time }) => time >= since);
  const gaps = times.slice(1).map((record, index) => record.time - times[index]!.time);
  gaps.sort((a, b) => a - b);
  const middle = gaps[Math.floor(gaps.length / 2)];
  return middle !== undefined && middle >= 0 ? middle : null;
}

/** Seconds until the last step; null when the latest steps do not tell. */
export function remainingSeconds(history: MetricHistory, totalSteps: number): number | null {
  const each = stepMilliseconds(history.steps, lastTurn(history)?.time ?? Number.NEGATIVE_INFINITY);
  const done = history.steps.at(-1)?.step ?? 0;
  return each === null ? null : (Math.max(0, totalSteps - done) * each) / 1000;
}

function lastTime(history: MetricHistory, { created: text }: Pick<RunConfiguration, 'created'>): number {
  const created = Date.parse(text);
  const times = [
    history.steps.at(-1)?.time,
    history.events.at(-1)?.event.time,
    history.evaluations.at(-1)?.eval.time,
    Number.isNaN(created) ? 0 : created,
  ];
  return Math.max(...times.filter(time => time !== undefined && Number.isFinite(time)).map(Number));
}

/**
 * Summarises a run from its directory alone.
 *
 * @param history The run's metrics where the caller follows them already; read from the directory otherwise.
 * @throws FileError when the directory holds no valid run.
 */
export async function summariseRun(directory: string, history?: MetricHistory): Promise<RunSummary> {
  const files = runFiles(directory);
  const configuration = await readAnyConfiguration(files.configuration);
  const found = await readLease(directory);
  const live = found !== null && (await isLeaseLive(found));
  const started = live ? Date.parse(found.lease?.started ?? '') || 0 : null;
  // After the lease: a trainer that ends in between has said so in the metrics before it gave the lease back.
  const metrics = history ?? (await readMetricHistory(files.metrics));
  const state = runState(metrics, started);
  const latest = metrics.steps.at(-1);
  const turn = lastTurn(metrics);
  return {
    directory: files.directory,
    name: path.basename(files.directory),
    state,
    step: latest?.step ?? 0,
    totalSteps: configuration.totalSteps,
    epoch: latest?.epoch ?? 0,
    epochs: Math.ceil(configuration.totalSteps / configuration.stepsPerEpoch),
    loss: latest === undefined || Number.isNaN(latest.loss) ? null : latest.loss,
    etaSeconds: state === 'running' ? remainingSeconds(metrics, configuration.totalSteps) : null,
    message: state === 'failed' ? (turn?.message ?? null) : null,
    updated: lastTime(metrics, configuration),
    host: live ? (found.lease?.host ?? null) : null,
  };
}

async function holdsRun(directory: string): Promise<boolean> {
  try {
    return isRunConfiguration(await readJson(runFiles(directory).configuration));
  } catch {
    // No such file, or not a run's.
    return false;
  }
}

/** Folders inside a folder, without hidden ones, dependencies and symbolic links. */
async function subfolders(folder: string): Promise<string[]> {
  const entries: Dirent[] = await naming(folder, 'read', () => readdir(folder, { withFileTypes: true }));
  const wanted = entries.filter(
    entry => entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules',
  );
  return wanted.map(entry => path.join(folder, entry.name)).sort();
}

/** Folders looked at in one search, so that a huge tree costs a bounded time. */
const mostFolders = 5_000;

/**
 * Finds run directories among the subfolders of a folder and their subfolders.
 *
 * @returns Absolute paths, sorted; a run's own folders are not searched.
 * @throws FileError when the folder itself cannot be read.
 */
export async function findRuns(folder: string): Promise<string[]> {
  const runs: string[] = [];
  let budget = mostFolders;
  const search = async (parents: readonly string[], depth: number): Promise<void> => {
    for (const parent of parents) {
      if (budget-- <= 0) return;
      if (await holdsRun(parent)) runs.push(parent);
      // An unreadable folder hides its own runs only.
      else if (depth > 1) await search(await subfolders(parent).catch(() => []), depth - 1);
    }
  };
  await search(await subfolders(path.resolve(folder)), 2);
  return runs.sort();
}
