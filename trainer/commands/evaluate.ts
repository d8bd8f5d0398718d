import path from 'node:path';
import { hashFile, hashWeights } from '../checkpoints/modelFiles.ts';
import { modelPath } from '../checkpoints/modelsFolder.ts';
import { type LoadedTower, loadTower } from '../dense/loadTower.ts';
import { inWorld } from '../distributed/inWorld.ts';
import { threadsOfRank } from '../distributed/rankThreads.ts';
import { agreeing, leads, shareBytes, shareValue, type World } from '../distributed/world.ts';
import { openEngine } from '../engineChoice/openEngine.ts';
import type { Engine } from '../engines/engine.ts';
import { type EvaluatedModel, evaluate } from '../evaluate/evaluation.ts';
import { type LabelledImages, readImageLabels } from '../evaluate/imageLabels.ts';
import { openData } from '../evaluate/openData.ts';
import { type EvaluationReport, regionReadings } from '../evaluate/protocol.ts';
import type { RegionData } from '../evaluate/regionData.ts';
import { type EmbeddingModel, retentionOf } from '../evaluate/retention.ts';
import { type FoundWords, findWords } from '../evaluate/words.ts';
import { MapCache } from '../inspect/mapCache.ts';
import { type Hashes, type ResolvedModel, resolveReference } from '../inspect/modelReference.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import type { RunLog } from '../runs/runLog.ts';
import type { StopSwitch } from '../server.ts';
import type { ClassEmbeddings } from '../text/classEmbeddings.ts';
import { textCacheBounds, textCacheFolder } from '../text/textCache.ts';
import { formatDuration } from '../training/progress.ts';
import { checkSize } from '../training/settings.ts';
import { type EvaluateOptions, evaluateHelp, readEvaluateOptions } from './evaluateOptions.ts';
import { resolveOriginal } from './originalModel.ts';
import { stoppable } from './stoppable.ts';

/** `clipself evaluate`. */
export async function evaluateCommand(args: string[]): Promise<void> {
  const options = readEvaluateOptions(args);
  if (!options) {
    console.log(evaluateHelp);
    return;
  }
  await inWorld(world => evaluateInWorld(world, options));
}

/** Of several ranks the leading one speaks to the user. */
async function evaluateInWorld(world: World, options: EvaluateOptions): Promise<void> {
  const report = await stoppable(world, (log, stop) => evaluateModel(world, options, log, stop));
  if (!leads(world)) return;
  if (report) printReport(report, options);
  else if (options.json) console.log(JSON.stringify({ state: 'stopped', out: options.out }));
  else console.log(`stopped; the same command goes on: ${options.out}`);
}

/**
 * Evaluates what the options name, or goes on where it was stopped.
 *
 * @param world The processes that share the images; every one of them calls this.
 * @returns null when it was stopped, and on ranks that do not lead.
 */
export async function evaluateModel(
  world: World,
  options: EvaluateOptions,
  log: RunLog,
  stop: StopSwitch,
): Promise<EvaluationReport | null> {
  const hashes = rememberingHashes();
  const plan = await agreeing(world, () => planEvaluation(options, hashes, log));
  const { model, original, architecture } = plan;
  // Ranks must all have the same engine, and share the cores of their machine.
  const name = options.engine === 'auto' && world.size > 1 ? 'cpu' : options.engine;
  const threads = options.threads || (await threadsOfRank(world));
  const engine = await openEngine({ name, threads, architecture }, line => log.info(line));
  try {
    const words = await sharedWords(world, plan.words, engine, log, stop);
    const tower = await openModel(model, engine);
    try {
      const evaluated = await evaluatedModel(options, model, tower, engine, hashes);
      const retention =
        plan.labels &&
        retentionOf({
          labels: plan.labels,
          words,
          skipBroken: options.skipBroken,
          openStudent: async () => ({ ...embeddingModel(tower), dispose: async () => undefined }),
          teacher: original && {
            sha256: await hashWeights(original.files, file => hashes.of(file)),
            open: async () => embeddingModel(await openModel(original, engine)),
          },
        });
      const request = {
        data: plan.data,
        folders: options.folders,
        words,
        wordsSource: plan.words.source,
        sizes: plan.sizes,
        skipBroken: options.skipBroken,
        report: options.out,
      };
      return await evaluate(world, evaluated, request, retention, {
        stopped: () => stop.requested,
        progress: (done, total, secondsLeft) =>
          log.progress(`image ${done}/${total}  ${formatDuration(secondsLeft)} left`),
      });
    } finally {
      await tower.dispose();
    }
  } finally {
    await engine.dispose();
  }
}

/** Everything that is read and checked before anything is computed. */
interface EvaluationPlan {
  model: ResolvedModel;
  original: ResolvedModel | null;
  architecture: VisionArchitecture;
  sizes: number[];
  data: RegionData;
  words: FoundWords;
  labels: LabelledImages | null;
}

async function planEvaluation(
  options: EvaluateOptions,
  hashes: Hashes,
  log: RunLog,
): Promise<EvaluationPlan> {
  const reference = {
    path: await modelPath(options.model),
    arch: options.arch,
    step: options.step,
    blend: options.blend,
  };
  const model = await resolveReference(reference, hashes);
  for (const warning of model.files.warnings) log.warn(warning);
  const { architecture } = model.files;
  const size = options.size ?? 2 * architecture.imageSize;
  checkSize(size, architecture);
  for (const further of options.sizes) checkSize(further, architecture, '--sizes');
  const sizes = [size, ...options.sizes.filter(further => further !== size)];

  log.progress(`reading ${options.annotations}`);
  const data = await openData(options);
  const original = await originalOf(options, model, hashes);
  const reading = original ?? model;
  const words = await findWords(options, data.classes, {
    files: reading.files,
    hash: reading.hash,
    source: null,
  });
  const labels =
    options.imageLabels === null
      ? null
      : await readImageLabels(options.imageLabels, options.folders.images, data.classes);
  return { model, original, architecture, sizes, data, words, labels };
}

/** The leading rank embeds the words for all of them. */
async function sharedWords(
  world: World,
  words: FoundWords,
  engine: Engine,
  log: RunLog,
  stop: StopSwitch,
): Promise<ClassEmbeddings> {
  const own = await agreeing(world, async () =>
    leads(world) ? words.load(engine, { cache: await openCache(log), ...textProgress(log, stop) }) : null,
  );
  if (own && world.size === 1) return own;
  const { names, dimension } = await shareValue(world, {
    names: own?.names ?? [],
    dimension: own?.dimension ?? 0,
  });
  const bytes = await shareBytes(world, own ? new Uint8Array(own.data.slice().buffer) : new Uint8Array(0));
  return { names, dimension, data: new Float32Array(bytes.buffer as ArrayBuffer) };
}

/** The model that the evaluated one came from: as told, or what its run started from where that is still there. */
async function originalOf(
  { teacher, arch }: EvaluateOptions,
  model: ResolvedModel,
  hashes: Hashes,
): Promise<ResolvedModel | null> {
  if (teacher !== null) return resolveOriginal(teacher, arch, hashes);
  if (!model.source) return null;
  return resolveReference(model.source, hashes).catch(() => null);
}

async function evaluatedModel(
  { model: given, step, blend }: EvaluateOptions,
  model: ResolvedModel,
  { features }: LoadedTower,
  engine: Engine,
  hashes: Hashes,
): Promise<EvaluatedModel> {
  const isRun = model.source !== null || model.step !== null;
  const name = path.basename(path.resolve(given));
  const sha256 = model.step === null ? await hashWeights(model.files, file => hashes.of(file)) : model.hash;
  return {
    identity: {
      name: `${name}${step === null ? '' : `, step ${step}`}${blend === null ? '' : `, α ${blend}`}`,
      path: path.resolve(given),
      sha256,
      run: isRun ? path.resolve(given) : null,
      step: model.step,
      epoch: null,
    },
    features,
    architecture: model.files.architecture,
    normalisation: model.files.normalisation,
    engine: engine.version,
  };
}

/** @param images see `loadTower`. */
export const openModel = async (
  { files, upload }: ResolvedModel,
  engine: Engine,
  images = 0,
): Promise<LoadedTower> => loadTower(files, engine, await upload(engine), images);

const embeddingModel = ({ features, model, dispose }: LoadedTower): EmbeddingModel => ({
  features,
  imageSize: model.architecture.imageSize,
  normalisation: model.normalisation,
  dispose,
});

/** Model files have hundreds of megabytes and are asked for several times. */
export function rememberingHashes(): Hashes {
  const known = new Map<string, Promise<string>>();
  return {
    of: file => {
      const hash = known.get(file) ?? hashFile(file);
      known.set(file, hash);
      return hash;
    },
  };
}

/** Without a folder to write to, nothing is remembered. */
const openCache = (log: RunLog): Promise<MapCache | null> =>
  MapCache.open(textCacheFolder(), textCacheBounds).catch((error: unknown) => {
    log.warn(error instanceof Error ? error.message : String(error));
    return null;
  });

/** Words are embedded in one go: what is asked to stop meanwhile has nothing to keep. */
export function textProgress(log: RunLog, stop: StopSwitch) {
  const abort = new AbortController();
  return {
    signal: abort.signal,
    onProgress: (done: number, all: number): void => {
      if (stop.requested) abort.abort(new Error('stopped before the first image'));
      log.progress(`prompt ${done}/${all}`);
    },
  };
}

function printReport(report: EvaluationReport, { out, json }: EvaluateOptions): void {
  const { counts, numbers, retention, sweep, time } = report;
  if (json) {
    console.log(JSON.stringify({ state: 'finished', out, counts, numbers, retention, sweep, time }));
    return;
  }
  console.log('           things: top-1   top-5   stuff: top-1   top-5   (mean accuracy over classes)');
  for (const reading of regionReadings) {
    if (!report.readings[reading]) continue;
    const [things1, things5] = [numbers[`${reading}.thing.macc1`], numbers[`${reading}.thing.macc5`]];
    const [stuff1, stuff5] = [numbers[`${reading}.stuff.macc1`], numbers[`${reading}.stuff.macc5`]];
    const columns = [percent(things1, 14), percent(things5, 8), percent(stuff1, 15), percent(stuff5, 8)];
    console.log(`${reading.padEnd(10)} ${columns.join('')}`);
  }
  if (retention) {
    const { student, teacher } = retention;
    const against = teacher ? `, the original ${percent(teacher.top1, 0)}` : '';
    console.log(`${retention.images} whole images: top-1 ${percent(student.top1, 0)}${against}`);
  }
  const skipped = Object.entries(counts.skipped).map(([reason, count]) => `${count} ${reason}`);
  if (skipped.length > 0) console.log(`left out: ${skipped.join(', ')}`);
  const speed = `${time.imagesPerSecond.toPrecision(3)} images/s`;
  console.log(`${counts.regions} regions of ${counts.images} images, ${speed}: ${out}`);
}

const percent = (share: number | null | undefined, width: number): string =>
  (share === null || share === undefined ? '–' : `${(share * 100).toFixed(1)} %`).padStart(width);
