import { hashWeights, type ModelFiles, resolveModel } from '../checkpoints/modelFiles.ts';
import { stepsPerEpoch } from '../distill/sampler.ts';
import { trainableNames } from '../distill/trainableParameters.ts';
import { sizeOf } from '../graph/shape.ts';
import type { ImageList } from '../images/imageReader.ts';
import { selectMembers } from '../images/memberStore.ts';
import { type RegionStore, selectImages } from '../images/regionStore.ts';
import type { RunConfiguration, TrainingSettings } from '../protocol.ts';
import { keyedRandom } from '../random.ts';
import { type ImageSource, openImageSource } from '../shards/imageSource.ts';
import { version } from '../version.ts';
import { type PlannedEvaluation, planEvaluation } from './regionEvaluation.ts';
import {
  checkRegionSettings,
  type PlannedRegions,
  planRegions,
  regionWarnings,
  trainablePositions,
} from './regionPlan.ts';
import {
  checkSize,
  imagesPerStep,
  resolveSettings,
  SettingError,
  scalesOf,
  type TrainingRequest,
} from './settings.ts';

/** Everything a run is made of, worked out before anything is written. */
export interface RunPlan {
  configuration: Omit<RunConfiguration, 'versions' | 'created'>;
  model: ModelFiles;
  /** Names of the parameters that train. */
  trainable: readonly string[];
  training: ImageList;
  heldOut: ImageList;
  /** Boxes that are trained on instead of grid patches, and their nouns; null for a grid. */
  regions: PlannedRegions | null;
  /** Those of the training files and of the held-out ones. */
  trainingRegions: RegionStore | null;
  heldOutRegions: RegionStore | null;
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
  const source = await openImageSource(request.images);
  const { files } = source;
  const settings = resolveSettings(request, files.length, model.architecture.kind);
  checkRegionSettings(settings);
  checkSize(settings.size, model.architecture);
  for (const scale of scalesOf(settings) ?? []) checkSize(scale, model.architecture, '--multiscale');
  const modelHash = await hashWeights(model);
  const regions = await planRegions(settings, source, model, modelHash);
  const { training, heldOut } = splitImages(trainablePositions(files, regions), settings);
  const images = imagesPerStep(settings);
  const steps = stepsPerEpoch(training.length, images);
  if (steps === 0)
    throw new SettingError(
      `${request.images}: ${training.length} images to train on (${heldOut.length} held out) do not fill ` +
        `one batch of ${images}. Add images, or lower --batch, --accumulate, --hold-out or the number of ranks`,
    );
  const evaluation = await planEvaluation(settings, model, modelHash);
  const totalSteps = steps * settings.epochs;
  const names = [...model.header.tensors.keys()].filter(name => name.startsWith('visual.'));
  const trainable = trainableNames(
    model.architecture,
    names,
    settings.unlockedBlocks,
    settings.retention > 0,
  );
  const count = (chosen: readonly string[]): number =>
    chosen.reduce((sum, name) => sum + sizeOf(model.header.tensors.get(name)!.shape), 0);
  return {
    configuration: {
      schema: 1,
      settings,
      modelHash,
      regionsHash: regions?.hash ?? null,
      parameters: { total: count([...model.header.tensors.keys()]), trainable: count(trainable) },
      totalSteps,
      stepsPerEpoch: steps,
      imageCount: { found: files.length, training: training.length, heldOut: heldOut.length },
    },
    model,
    trainable,
    training: selectFrom(source, training),
    heldOut: selectFrom(source, heldOut),
    regions,
    trainingRegions: regions && selectImages(regions.store, training),
    // Without crops of labelled regions, student and teacher are compared on a grid.
    heldOutRegions: regions && !regions.words ? selectImages(regions.store, heldOut) : null,
    evaluation,
    warnings: [
      ...model.warnings,
      ...damageWarnings(source.damage),
      ...regionWarnings(files, regions),
      ...scheduleWarnings(settings.warmup, totalSteps),
    ],
  };
}

const selectFrom = ({ files, members }: ImageSource, positions: readonly number[]): ImageList => ({
  files: positions.map(position => files[position]!),
  members: members && selectMembers(members, positions),
});

/** So many damaged members are named. */
const mostNamed = 20;

function damageWarnings(damage: readonly string[]): string[] {
  if (damage.length === 0) return [];
  const more = damage.length > mostNamed ? [`and ${damage.length - mostNamed} more damaged members`] : [];
  const count = `${damage.length} member${damage.length === 1 ? '' : 's'} of the shards left out`;
  return [count, ...damage.slice(0, mostNamed), ...more];
}

/** The held-out images are drawn with the seed, and so is the share of the rest that trains; both keep their order. */
function splitImages(
  positions: readonly number[],
  { seed, holdOut, trainRatio }: Pick<TrainingSettings, 'seed' | 'holdOut' | 'trainRatio'>,
): { training: number[]; heldOut: number[] } {
  if (holdOut >= positions.length)
    throw new SettingError(
      `--hold-out ${holdOut} leaves none of the ${positions.length} images to train on: add images or lower it`,
    );
  const heldOut = draw(positions, holdOut, seed, 'hold-out');
  const rest = positions.filter(position => !heldOut.has(position));
  const kept = trainRatio < 1 ? draw(rest, Math.floor(rest.length * trainRatio), seed, 'train ratio') : null;
  return {
    training: kept ? rest.filter(position => kept.has(position)) : rest,
    heldOut: positions.filter(position => heldOut.has(position)),
  };
}

const draw = (positions: readonly number[], count: number, seed: number, key: string): Set<number> => {
  const order = keyedRandom(seed, key).shuffle(positions.map((_, index) => index));
  return new Set(order.slice(0, count).map(index => positions[index]!));
};

function scheduleWarnings(warmup: number, totalSteps: number): string[] {
  if (warmup < totalSteps) return [];
  return [
    `the warm-up (${warmup} steps) is as long as the whole run (${totalSteps} steps): the learning rate never ` +
      'reaches its full value. Lower --warmup or train longer',
  ];
}
