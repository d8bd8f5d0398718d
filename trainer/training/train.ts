import { FileError } from '../checkpoints/fileError.ts';
import { openEngine } from '../engineChoice/openEngine.ts';
import type { Engine } from '../engines/engine.ts';
import type { RunConfiguration } from '../protocol.ts';
import { controlPipePath } from '../runs/controlPipe.ts';
import { acquireLease, type Lease } from '../runs/lease.ts';
import {
  mismatchError,
  readRunConfiguration,
  settingsMismatch,
  writeRunConfiguration,
} from '../runs/runConfiguration.ts';
import { prepareRunDirectory, type RunFiles, runFiles } from '../runs/runDirectory.ts';
import type { RunLog } from '../runs/runLog.ts';
import { type StopSwitch, serveTrainer } from '../server.ts';
import { finishedOutcome } from './finishedRun.ts';
import { ownVersion, planRun, type RunPlan } from './runPlan.ts';
import type { TrainingRequest } from './settings.ts';
import { type TrainingOutcome, TrainingRun } from './trainingRun.ts';

/**
 * Trains into a run directory: starts a run, or goes on with the one that is there.
 *
 * @param request null to resume with the settings of the directory's own `config.json`.
 * @throws with one clear line; whatever the run held before is still there.
 */
export async function train(
  directory: string,
  request: TrainingRequest | null,
  log: RunLog,
  stop: StopSwitch,
): Promise<TrainingOutcome> {
  const signals = stop.listen();
  try {
    return await trainListening(runFiles(directory), request, log, stop);
  } finally {
    signals.dispose();
  }
}

async function trainListening(
  files: RunFiles,
  request: TrainingRequest | null,
  log: RunLog,
  stop: StopSwitch,
): Promise<TrainingOutcome> {
  // A resumed run must be there already; a request is checked before its directory is created.
  const resolved = request ?? (await readRunConfiguration(files.configuration)).settings;
  const plan = await planRun(resolved);
  const begun = (await prepareRunDirectory(files.directory)) === 'existing';
  const lease = await acquireLease(files.directory, { controlPipe: controlPipePath(files.directory) });
  try {
    log.attach(files.log);
    const name = await engineName(files, plan, begun);
    const { threads } = plan.configuration.settings;
    const { architecture } = plan.model;
    const engine = await openEngine({ name, threads, architecture }, line => log.info(line));
    try {
      const configuration = await settleConfiguration(files, plan, engine, log);
      return await trainWith({ files, configuration, plan, engine, lease, log }, stop);
    } finally {
      await engine.dispose();
    }
  } catch (error) {
    log.error(error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    await lease.release();
  }
}

/** A run keeps the engine that `auto` gave it: another would change its last bits. */
async function engineName(files: RunFiles, plan: RunPlan, begun: boolean): Promise<string> {
  const { engine } = plan.configuration.settings;
  return begun && engine === 'auto'
    ? (await readRunConfiguration(files.configuration)).settings.engine
    : engine;
}

interface Prepared {
  files: RunFiles;
  configuration: RunConfiguration;
  plan: RunPlan;
  engine: Engine;
  lease: Lease;
  log: RunLog;
}

async function trainWith(prepared: Prepared, stop: StopSwitch): Promise<TrainingOutcome> {
  const { files, configuration, lease, log } = prepared;
  const finished = await finishedOutcome(files, configuration);
  if (finished) {
    log.info('the run has finished already');
    return finished;
  }
  const run = new TrainingRun({ ...prepared, stopRequested: () => stop.requested });
  const served = { directory: files.directory, totalSteps: configuration.totalSteps, step: () => run.step };
  const server = await serveTrainer(lease.controlPipe, served, stop);
  try {
    return await run.run();
  } finally {
    await server.dispose();
  }
}

/** Writes a new run's configuration, or makes sure that the existing run is the one asked for. */
async function settleConfiguration(
  files: RunFiles,
  plan: RunPlan,
  engine: Engine,
  log: RunLog,
): Promise<RunConfiguration> {
  const versions = { clipself: ownVersion, node: process.version, engine: engine.version };
  // Asked again under the lease: another trainer may have begun the run meanwhile.
  if ((await prepareRunDirectory(files.directory)) === 'new') {
    const settings = { ...plan.configuration.settings, engine: engine.name };
    const created = new Date().toISOString();
    const configuration = { ...plan.configuration, settings, versions, created };
    await writeRunConfiguration(files.configuration, configuration);
    return configuration;
  }
  const existing = await readRunConfiguration(files.configuration);
  // Runs of earlier versions do not say which engine `auto` was.
  const recorded = existing.settings.engine === 'auto' ? 'auto' : engine.name;
  const asked = { ...plan.configuration, settings: { ...plan.configuration.settings, engine: recorded } };
  const differences = settingsMismatch(existing, asked);
  const [before, now] = [existing.imageCount, plan.configuration.imageCount];
  // The number of held-out images may follow from the number of images.
  if (before.found !== now.found && differences.every(({ name }) => name === 'holdOut'))
    throw new FileError(
      plan.configuration.settings.images,
      `it holds ${now.found} images where the run began with ${before.found}`,
      'Restore the images, or train into another folder',
    );
  if (differences.length > 0) throw mismatchError(files.directory, differences);
  if (existing.versions.engine !== versions.engine || existing.versions.clipself !== versions.clipself)
    log.warn(
      `the run began with ${existing.versions.engine} and clipself ${existing.versions.clipself}, now ` +
        `${versions.engine} and ${versions.clipself}: results may differ in the last bits`,
    );
  return existing;
}
