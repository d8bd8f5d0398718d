import { existsSync } from 'node:fs';
import { FileError } from '../checkpoints/fileError.ts';
import { threadsOfRank } from '../distributed/rankThreads.ts';
import { agreeing, anyRank, leads, type World } from '../distributed/world.ts';
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
import { imagesPerStep, SettingError, type TrainingRequest } from './settings.ts';
import type { TrainingContext, TrainingOutcome } from './trainingContext.ts';
import { TrainingRun } from './trainingRun.ts';

/**
 * Trains into a run directory: starts a run, or goes on with the one that is there.
 *
 * @param world The processes that share each step; every one of them calls this.
 * @param request null to resume with the settings of the directory's own `config.json`.
 * @throws with one clear line; whatever the run held before is still there.
 */
export async function train(
  world: World,
  directory: string,
  request: TrainingRequest | null,
  log: RunLog,
  stop: StopSwitch,
): Promise<TrainingOutcome> {
  const signals = stop.listen();
  try {
    return await trainListening(world, runFiles(directory), request, log, stop);
  } finally {
    signals.dispose();
  }
}

async function trainListening(
  world: World,
  files: RunFiles,
  request: TrainingRequest | null,
  log: RunLog,
  stop: StopSwitch,
): Promise<TrainingOutcome> {
  // A resumed run must be there already; a request is checked before its directory is created.
  const plan = await agreeing(world, () => planShared(world, files, request));
  const lease = await agreeing(world, () => takeRun(world, files));
  try {
    log.attach(leads(world) ? files.log : files.rankLog(world.rank));
    const name = await engineName(world, files, plan);
    const { precision, threads: asked } = plan.configuration.settings;
    const threads = asked || (await threadsOfRank(world));
    const { architecture } = plan.model;
    const engine = await openEngine({ name, threads, architecture, precision }, line => log.info(line));
    try {
      const settled = await agreeing(
        world,
        async () => lease && settleConfiguration(files, plan, engine, log),
      );
      const configuration = settled ?? (await readRunConfiguration(files.configuration));
      return await trainWith({ world, files, configuration, plan, engine, lease, log }, stop);
    } finally {
      await engine.dispose();
    }
  } catch (error) {
    log.error(error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    await lease?.release();
  }
}

/** A run keeps the engine that `auto` gave it, another would change its last bits; ranks must all have the same. */
async function engineName(world: World, files: RunFiles, plan: RunPlan): Promise<string> {
  const { engine } = plan.configuration.settings;
  if (engine !== 'auto') return engine;
  if (world.size > 1) return 'cpu';
  if (!existsSync(files.configuration)) return engine;
  return (await readRunConfiguration(files.configuration)).settings.engine;
}

/** The plan of a new run, or of the one that is there, whose steps stay as large as they were with any number of ranks. */
async function planShared(world: World, files: RunFiles, request: TrainingRequest | null): Promise<RunPlan> {
  const resolved = request ?? (await readRunConfiguration(files.configuration)).settings;
  const plan = await planRun({ ...resolved, ranks: resolved.ranks ?? (await ranksOf(world, files)) });
  const images = imagesPerStep(plan.configuration.settings);
  if (images < world.size)
    throw new SettingError(
      `${world.size} ranks cannot share the ${images} images of a step: start fewer ranks, or a run with a larger --batch`,
    );
  return plan;
}

const ranksOf = async (world: World, files: RunFiles): Promise<number> =>
  existsSync(files.configuration)
    ? (await readRunConfiguration(files.configuration)).settings.ranks
    : world.size;

/** The leading rank takes the run for all of them; the others get null. */
async function takeRun(world: World, files: RunFiles): Promise<Lease | null> {
  if (!leads(world)) return null;
  await prepareRunDirectory(files.directory);
  return acquireLease(files.directory, { controlPipe: controlPipePath(files.directory) });
}

type Prepared = Omit<TrainingContext, 'stopRequested'>;

async function trainWith(prepared: Prepared, stop: StopSwitch): Promise<TrainingOutcome> {
  const { world, files, configuration, lease, log } = prepared;
  const finished = lease && (await finishedOutcome(files, configuration));
  if (await anyRank(world, finished !== null)) {
    log.info('the run has finished already');
    return finished ?? { state: 'finished', step: configuration.totalSteps, before: null, after: null };
  }
  const run = new TrainingRun({ ...prepared, stopRequested: () => stop.requested });
  const served = { directory: files.directory, totalSteps: configuration.totalSteps, step: () => run.step };
  const server = lease && (await serveTrainer(lease.controlPipe, served, stop));
  try {
    return await run.run();
  } finally {
    await server?.dispose();
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
