import { hashWeights, type ModelFiles, resolveModel } from '../checkpoints/modelFiles.ts';
import { stepsPerEpoch } from '../distill/sampler.ts';
import { trainableNames } from '../distill/trainableParameters.ts';
import { sizeOf } from '../graph/shape.ts';
import { listImages } from '../images/imageFolder.ts';
import type { RunConfiguration } from '../protocol.ts';
import { keyedRandom } from '../random.ts';
import { version } from '../version.ts';
import { type PlannedEvaluation, planEvaluation } from './regionEvaluation.ts';
import { checkSize, resolveSettings, SettingError, type TrainingRequest } from './settings.ts';

/** Everything a run is made of, worked out before anything is written. */
export interface RunPlan {
  configuration: Omit<RunConfiguration, 'versions' | 'created'>;
  model: ModelFiles;
  /** Names of the parameters that train. */
  trainable: readonly string[];
  trainingFiles: readonly string[];
  heldOutFiles: readonly string[];
  /** Regions that are named before training and after each epoch; null when none are. */
  evaluation: PlannedEvaluation | null;
  /** What the user should know before the first step. */
  warnings: readonly string[];
}

/** Name and version of what a run's bits depend on. */
export const ownVersion = version;

/**
 * Resolves a request: finds the model, lists and splits the images, counts the steps.
 *
 * @throws FileError, SettingError and plain errors with one clear line, before anything is written.
 */
export async function planRun(request: TrainingRequest): Promise<RunPlan> {
  const model = await resolveModel(request.model, request.arch ?? null);
  if (model.architecture.kind === 'resnet')
    throw new SettingError(
      `${request.model} is a ResNet: CLIPSelf trains vision transformers, whose last block has attention to do without`,
    );
  const files = await listImages(request.images);
  const settings = resolveSettings(request, files.length, model.architecture.kind);
  checkSize(settings.size, model.architecture);
  const { trainingFiles, heldOutFiles } = splitImages(files, settings.seed, settings.holdOut);
  const steps = stepsPerEpoch(trainingFiles.length, settings.batch);
  if (steps === 0)
    throw new SettingError(
      `${request.images}: ${trainingFiles.length} images to train on (${heldOutFiles.length} held out) do not fill ` +
        `one batch of ${settings.batch}. Add images, or lower --batch or --hold-out`,
    );
  const modelHash = await hashWeights(model);
  const evaluation = await planEvaluation(settings, model, modelHash);
  const totalSteps = steps * settings.epochs;
  const names = [...model.header.tensors.keys()].filter(name => name.startsWith('visual.'));
  const trainable = trainableNames(model.architecture, names, settings.unlockedBlocks);
  const count = (chosen: readonly string[]): number =>
    chosen.reduce((sum, name) => sum + sizeOf(model.header.tensors.get(name)!.shape), 0);
  return {
    configuration: {
      schema: 1,
      settings,
      modelHash,
      parameters: { total: count([...model.header.tensors.keys()]), trainable: count(trainable) },
      totalSteps,
      stepsPerEpoch: steps,
      imageCount: { found: files.length, training: trainingFiles.length, heldOut: heldOutFiles.length },
    },
    model,
    trainable,
    trainingFiles,
    heldOutFiles,
    evaluation,
    warnings: [...model.warnings, ...scheduleWarnings(settings.warmup, totalSteps)],
  };
}

/** The held-out images are drawn with the seed; the rest keeps its order. */
function splitImages(
  files: readonly string[],
  seed: number,
  holdOut: number,
): { trainingFiles: string[]; heldOutFiles: string[] } {
  if (holdOut >= files.length)
    throw new SettingError(`--hold-out ${holdOut} leaves none of the ${files.length} images to train on`);
  const drawn = keyedRandom(seed, 'hold-out').shuffle(files.map((_, index) => index));
  const heldOut = new Set(drawn.slice(0, holdOut));
  return {
    trainingFiles: files.filter((_, index) => !heldOut.has(index)),
    heldOutFiles: files.filter((_, index) => heldOut.has(index)),
  };
}

function scheduleWarnings(warmup: number, totalSteps: number): string[] {
  if (warmup < totalSteps) return [];
  return [
    `the warm-up (${warmup} steps) is as long as the whole run (${totalSteps} steps): the learning rate never ` +
      'reaches its full value. Lower --warmup or train longer',
  ];
}
