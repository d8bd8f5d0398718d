/** Regions named with words before training and after each epoch, on what the run gives away: the α-blend. */
import path from 'node:path';
import { hashWeights, type ModelFiles, resolveModel } from '../checkpoints/modelFiles.ts';
import { loadTower } from '../dense/loadTower.ts';
import { soloWorld } from '../distributed/world.ts';
import type { Engine } from '../engines/engine.ts';
import type { EvaluationHooks } from '../evaluate/evaluateRegions.ts';
import { evaluate } from '../evaluate/evaluation.ts';
import { openData } from '../evaluate/openData.ts';
import { type EvaluationReport, runReportPath } from '../evaluate/protocol.ts';
import type { RegionData, RegionFolders } from '../evaluate/regionData.ts';
import { type FoundWords, findWords } from '../evaluate/words.ts';
import type { TrainingSettings } from '../protocol.ts';
import type { RunFiles } from '../runs/runDirectory.ts';
import type { ClassEmbeddings } from '../text/classEmbeddings.ts';
import { uploadVisionParameters } from './modelParameters.ts';
import { SettingError } from './settings.ts';

/** Settings that name files of the evaluation. */
export const evaluationPaths = [
  'evaluatePanoptic',
  'evaluateImages',
  'evaluateMasks',
  'evaluateEmbeddings',
] as const;

type EvaluationSettings = Pick<TrainingSettings, (typeof evaluationPaths)[number] | 'evaluateLimit' | 'size'>;

/** Data and words, read and checked. */
export interface PlannedEvaluation {
  data: RegionData;
  folders: RegionFolders;
  words: FoundWords;
  /** Longest side of the image in pixels. */
  size: number;
}

/**
 * Reads what a run is to be evaluated on, so that mistakes are found before it trains.
 *
 * @returns null when the settings ask for none.
 * @throws SettingError when they are incomplete; FileError when a file is missing or broken.
 */
export async function planEvaluation(
  settings: EvaluationSettings,
  model: ModelFiles,
  modelHash: string,
): Promise<PlannedEvaluation | null> {
  const { evaluatePanoptic, evaluateImages, evaluateMasks, evaluateEmbeddings, evaluateLimit, size } =
    settings;
  if (evaluatePanoptic === null) {
    if ((evaluateImages ?? evaluateMasks ?? evaluateEmbeddings) === null) return null;
    throw new SettingError(
      '--evaluate-images, --evaluate-masks and --evaluate-embeddings belong to --evaluate-panoptic',
    );
  }
  if (evaluateImages === null || evaluateMasks === null)
    throw new SettingError('--evaluate-panoptic needs --evaluate-images and --evaluate-masks');
  const folders = { images: evaluateImages, masks: evaluateMasks };
  const limit = evaluateLimit === 0 ? null : evaluateLimit;
  const request = { kind: 'panoptic', annotations: evaluatePanoptic, folders, limit } as const;
  const data = await openData({ ...request, skipBroken: null });
  const choice = { embeddings: evaluateEmbeddings, prompts: null };
  const words = await findWords(choice, data.classes, { files: model, hash: modelHash, source: null });
  return { data, folders, words, size };
}

/** Where a run stands when it is evaluated. */
export interface EvaluatedEpoch {
  files: RunFiles;
  /** What the run started from; it is evaluated as epoch 0. */
  source: ModelFiles;
  epoch: number;
  step: number;
}

/**
 * Evaluates the run's `student.safetensors`, or at epoch 0 the model it starts from, into
 * `evaluations/epoch-NNNN/report.json`. What was cut goes on, what is finished is read back. `crops` is the evaluated
 * model's own embedding of crops: that of epoch 0 is the teacher's, which never changes.
 *
 * @returns null when it was stopped.
 */
export async function evaluateEpoch(
  engine: Engine,
  { data, folders, words: found, size }: PlannedEvaluation,
  words: ClassEmbeddings,
  { files, source, epoch, step }: EvaluatedEpoch,
  hooks: EvaluationHooks,
): Promise<EvaluationReport | null> {
  const model = epoch === 0 ? source : await resolveModel(files.student);
  const tower = await loadTower(model, engine, await uploadVisionParameters(engine, model.weightsFile));
  try {
    const evaluated = {
      identity: {
        name: `${path.basename(files.directory)}, epoch ${epoch}`,
        path: model.weightsFile,
        sha256: await hashWeights(model),
        run: files.directory,
        step,
        epoch,
      },
      features: tower.features,
      architecture: model.architecture,
      normalisation: model.normalisation,
      engine: engine.version,
    };
    const report = path.join(files.directory, runReportPath(epoch));
    const request = {
      data,
      folders,
      words,
      wordsSource: found.source,
      sizes: [size],
      skipBroken: null,
      report,
    };
    return await evaluate(soloWorld, evaluated, request, null, hooks);
  } finally {
    await tower.dispose();
  }
}
