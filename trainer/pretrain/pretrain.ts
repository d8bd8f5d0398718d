import { FileError } from '../checkpoints/fileError.ts';
import { writeJson } from '../checkpoints/jsonFile.ts';
import { createEngine } from '../engines/createEngine.ts';
import type { Engine } from '../engines/engine.ts';
import { sizeOf } from '../graph/shape.ts';
import type { PretrainConfiguration, PretrainSettings } from '../protocol.ts';
import { controlPipePath } from '../runs/controlPipe.ts';
import { acquireLease } from '../runs/lease.ts';
import { pretrainDifferences, readPretrainConfiguration } from '../runs/pretrainConfiguration.ts';
import { prepareRunDirectory, type RunFiles, runFiles } from '../runs/runDirectory.ts';
import type { RunLog } from '../runs/runLog.ts';
import { type StopSwitch, serveTrainer } from '../server.ts';
import { version } from '../version.ts';
import { parseStyleList } from '../world/styleList.ts';
import { styleNames } from '../world/styles.ts';
import { dualEncoderLoss } from './dualEncoder.ts';
import { type PretrainModel, resolvePretrainModel } from './pretrainModel.ts';
import { type PretrainOutcome, PretrainRun } from './pretrainRun.ts';
import { resolvePretrainSettings } from './settings.ts';
import { hashStart } from './startingWeights.ts';

/**
 * Pre-trains a CLIP on Emoji World into a run directory: starts a run, or goes on with the one that is there.
 *
 * @param request null to resume with the settings of the directory's own `config.json`.
 * @param workers Threads that render pairs: no setting of the run, because it is the same whatever their number.
 * @throws with one clear line; whatever the run held before is still there.
 */
export async function pretrain(
  directory: string,
  request: Partial<PretrainSettings> | null,
  log: RunLog,
  stop: StopSwitch,
  workers = 1,
): Promise<PretrainOutcome> {
  const files = runFiles(directory);
  const resolved = request ?? (await readPretrainConfiguration(files.configuration)).settings;
  const settings = resolvePretrainSettings(resolved);
  parseStyleList(settings.styles);
  const model = await resolvePretrainModel(settings.arch);
  const signals = stop.listen();
  try {
    return await pretrainListening(files, settings, model, log, stop, workers);
  } finally {
    signals.dispose();
  }
}

async function pretrainListening(
  files: RunFiles,
  settings: PretrainSettings,
  model: PretrainModel,
  log: RunLog,
  stop: StopSwitch,
  workers: number,
): Promise<PretrainOutcome> {
  await prepareRunDirectory(files.directory);
  const lease = await acquireLease(files.directory, { controlPipe: controlPipePath(files.directory) });
  try {
    log.attach(files.log);
    const engine = await createEngine(settings.engine, settings.threads);
    try {
      const configuration = await settleConfiguration(files, settings, model, engine);
      const stopRequested = (): boolean => stop.requested;
      const run = new PretrainRun({
        ...{ files, configuration, model, engine, lease, log },
        ...{ workers, stopRequested },
      });
      const { totalSteps } = configuration;
      const served = { directory: files.directory, totalSteps, step: () => run.step };
      const server = await serveTrainer(lease.controlPipe, served, stop);
      try {
        return await run.run();
      } finally {
        await server.dispose();
      }
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

/** Writes a new run's configuration, or makes sure that the existing run is the one asked for. */
async function settleConfiguration(
  files: RunFiles,
  settings: PretrainSettings,
  model: PretrainModel,
  engine: Engine,
): Promise<PretrainConfiguration> {
  if ((await prepareRunDirectory(files.directory)) === 'new') {
    const startHash = settings.from === null ? null : await hashStart(settings.from, model);
    const configuration = { ...newConfiguration(settings, model, engine), startHash };
    await writeJson(files.configuration, configuration);
    return configuration;
  }
  const existing = await readPretrainConfiguration(files.configuration);
  const differences = pretrainDifferences(existing, settings);
  if (existing.modelHash !== model.hash) differences.push('the model or its words are others');
  if (differences.length > 0)
    throw new FileError(
      files.directory,
      `it holds a run with other settings: ${differences.join('; ')}`,
      'Train into another folder, or use the same settings to resume',
    );
  return existing;
}

function newConfiguration(
  settings: PretrainSettings,
  model: PretrainModel,
  engine: Engine,
): Omit<PretrainConfiguration, 'startHash'> {
  const { parameters } = dualEncoderLoss(model.encoder, settings);
  const count = [...parameters.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const heldOut = settings.evaluationCrops * styleNames.length;
  const training = settings.steps * settings.batch * settings.groups;
  return {
    schema: 1,
    task: 'pretrain',
    settings,
    modelHash: model.hash,
    parameters: { total: count, trainable: count },
    totalSteps: settings.steps,
    stepsPerEpoch: settings.stepsPerEpoch,
    imageCount: { found: training + heldOut, training, heldOut },
    versions: { clipself: version, node: process.version, engine: engine.version },
    created: new Date().toISOString(),
  };
}
