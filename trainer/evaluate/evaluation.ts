/** An evaluation from the data to its report, by one process or several: resumes what was cut, and does not repeat what is finished. */
import { createHash } from 'node:crypto';
import { isJsonObject, readJson, writeJson } from '../checkpoints/jsonFile.ts';
import type { ImageFeatures } from '../dense/imageFeatures.ts';
import { atOwnPace, shareOfPlaces } from '../distributed/ownPace.ts';
import { agreeing, anyRank, leads, shareValue, type World } from '../distributed/world.ts';
import type { ImageNormalisation } from '../images/normalise.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import type { ClassEmbeddings } from '../text/classEmbeddings.ts';
import { version } from '../version.ts';
import { type EvaluationHooks, evaluateRegions } from './evaluateRegions.ts';
import { EvaluationLog, type RetentionEntry } from './evaluationLog.ts';
import { EvaluationTally } from './evaluationTally.ts';
import { type EvaluationTime, findParts, mergeParts, removeParts } from './logParts.ts';
import type { EvaluationReport, RetentionReport } from './protocol.ts';
import type { RegionData, RegionFolders, SkipBroken } from './regionData.ts';

/** A model that is evaluated, ready on an engine. */
export interface EvaluatedModel {
  identity: EvaluationReport['model'];
  features: ImageFeatures;
  architecture: VisionArchitecture;
  normalisation: ImageNormalisation;
  /** Library and version that run it. */
  engine: string;
}

export interface EvaluationRequest {
  data: RegionData;
  folders: RegionFolders;
  words: ClassEmbeddings;
  /** File of the words, or the name of a prompt set. */
  wordsSource: string;
  /** Longest sides of the image in pixels, multiples of the patch size: the main one, then those of the sweep. */
  sizes: readonly number[];
  /** Leave out what is broken, and count it. */
  skipBroken: SkipBroken;
  /** Path of the report. */
  report: string;
}

/** Whole images to name beside the regions; what it does is logged, so that it goes on where it was cut. */
export interface Retention {
  /** Stands for everything that its result depends on. */
  key: unknown;
  run: (
    world: World,
    past: readonly RetentionEntry[],
    add: (entry: RetentionEntry) => Promise<void>,
    hooks: EvaluationHooks,
  ) => Promise<RetentionReport | 'stopped'>;
}

/** SHA-256 of the words: names, numbers and their order. */
export function hashWords({ names, dimension, data }: ClassEmbeddings): string {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return createHash('sha256')
    .update(JSON.stringify([names, dimension]))
    .update(bytes)
    .digest('hex');
}

/**
 * What results depend on. The same key means the same results, so a report that carries it is not made again and work
 * that was begun with it goes on.
 */
function keyOf(model: EvaluatedModel, request: EvaluationRequest, retention: Retention | null): string {
  const { data, words, sizes, skipBroken } = request;
  const { text: _text, ...vision } = model.architecture;
  const images = createHash('sha256').update(data.images.map(({ file }) => file).join('\0'));
  const parts = [
    model.identity.sha256,
    vision,
    model.normalisation,
    data.sha256,
    images.digest('hex'),
    hashWords(words),
    sizes,
    skipBroken ?? false,
    retention?.key ?? null,
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/**
 * Evaluates a model and writes the report atomically. An evaluation of the same model, data, words and sizes that was
 * cut goes on with the images that are not complete, with any number of ranks; one that is finished is read back.
 *
 * @param world The processes that share the images; every one of them calls this with the same model and request.
 * @returns null when it was stopped, and on ranks that do not lead.
 * @throws with one clear line; what is complete stays for the next try.
 */
export async function evaluate(
  world: World,
  model: EvaluatedModel,
  request: EvaluationRequest,
  retention: Retention | null,
  hooks: EvaluationHooks,
): Promise<EvaluationReport | null> {
  const key = keyOf(model, request, retention);
  const finished = leads(world) ? await readFinished(request.report, key) : null;
  if (await anyRank(world, finished !== null)) return finished;
  const past = await findPast(world, request.report, key);
  const log = await agreeing(world, () => EvaluationLog.open(request.report, key, world.rank));
  let retained: RetentionReport | 'stopped' | null = null;
  try {
    if (await nameRegions(world, model, request, past.images, log, hooks)) return null;
    const add = (entry: RetentionEntry): Promise<void> => log.addRetention(entry);
    retained = (await retention?.run(world, past.retention, add, hooks)) ?? null;
    if (retained === 'stopped') return null;
  } finally {
    await log.close();
  }
  // All files are closed before the leading rank reads them.
  await agreeing(world, async () => undefined);
  return agreeing(world, async () => (leads(world) ? finish(model, request, retained, key) : null));
}

interface PastWork {
  /** Places of the images that are complete. */
  images: number[];
  retention: RetentionEntry[];
}

/** The leading rank looks for all of them: they must agree about what is left. */
async function findPast(world: World, report: string, key: string): Promise<PastWork> {
  const parts = await agreeing(world, async () => (leads(world) ? findParts(report, key) : []));
  return shareValue(world, {
    images: parts.flatMap(({ images }) => images.map(({ image }) => image)),
    retention: parts.flatMap(({ retention }) => retention),
  });
}

/** @returns whether it was stopped. */
async function nameRegions(
  world: World,
  { features, architecture, normalisation }: EvaluatedModel,
  { data, folders, words, sizes, skipBroken }: EvaluationRequest,
  past: readonly number[],
  log: EvaluationLog,
  hooks: EvaluationHooks,
): Promise<boolean> {
  const { images, classes } = data;
  const settings = {
    ...folders,
    sizes,
    patchSize: architecture.patchSize,
    cropSize: architecture.imageSize,
    normalisation,
    things: classes.map(({ isThing }) => isThing),
    skipBroken,
  };
  const complete = new Set(past);
  const due = [...images.keys()].filter(image => !complete.has(image));
  const outcome = await atOwnPace(world, hooks.stopped, pace =>
    evaluateRegions({ features, images, words, settings }, shareOfPlaces(world, due), log, {
      stopped: pace.stopped,
      progress: (done, _own, secondsLeft) => {
        pace.done(done);
        hooks.progress(complete.size + pace.total(), images.length, secondsLeft);
      },
    }),
  );
  return outcome.stopped;
}

async function finish(
  model: EvaluatedModel,
  request: EvaluationRequest,
  retention: RetentionReport | null,
  key: string,
): Promise<EvaluationReport> {
  const { data, sizes, report: file } = request;
  const tally = new EvaluationTally(data.classes, sizes, data.skipped);
  const time = await mergeParts(file, key, data.images.length, tally);
  const report = reportOf(model, request, tally, { retention, time, key });
  await writeJson(file, report);
  await removeParts(file);
  return report;
}

/** Reports of a thousand classes have tens of megabytes: their confusions. */
const maximumReportBytes = 256 * 2 ** 20;

/** A report that is there already with this key. */
async function readFinished(file: string, key: string): Promise<EvaluationReport | null> {
  const content = await readJson(file, maximumReportBytes).catch(() => null);
  return isJsonObject(content) && content.schema === 1 && content.key === key
    ? (content as unknown as EvaluationReport)
    : null;
}

function reportOf(
  model: EvaluatedModel,
  { data, folders, words, wordsSource, sizes }: EvaluationRequest,
  tally: EvaluationTally,
  { retention, time, key }: { retention: RetentionReport | null; time: EvaluationTime; key: string },
): EvaluationReport {
  const { images, regions, skipped } = tally;
  return {
    schema: 1,
    created: new Date().toISOString(),
    key,
    model: model.identity,
    data: {
      annotations: data.annotations,
      images: folders.images,
      masks: folders.masks,
      sha256: data.sha256,
    },
    words: { source: wordsSource, sha256: hashWords(words) },
    size: sizes[0]!,
    classes: data.classes,
    counts: { images, regions, skipped },
    numbers: tally.numbers(),
    readings: tally.readings(),
    retention,
    sweep: tally.sweep(),
    time: { ...time, imagesPerSecond: time.seconds > 0 ? images / time.seconds : 0 },
    versions: { clipself: version, engine: model.engine },
  };
}
