/** An evaluation from the data to its report: resumes what was cut, and does not repeat what is finished. */
import { createHash } from 'node:crypto';
import { isJsonObject, readJson, writeJson } from '../checkpoints/jsonFile.ts';
import type { ImageFeatures } from '../dense/imageFeatures.ts';
import type { ImageNormalisation } from '../images/normalise.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import type { ClassEmbeddings } from '../text/classEmbeddings.ts';
import { version } from '../version.ts';
import { type EvaluationHooks, evaluateRegions } from './evaluateRegions.ts';
import { EvaluationLog, type RetentionEntry } from './evaluationLog.ts';
import { EvaluationTally } from './evaluationTally.ts';
import type { EvaluationReport, RetentionReport } from './protocol.ts';
import type { RegionData, RegionFolders } from './regionData.ts';

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
  skipBroken: boolean;
  /** Path of the report. */
  report: string;
}

/** Whole images to name beside the regions; what it does is logged, so that it goes on where it was cut. */
export interface Retention {
  /** Stands for everything that its result depends on. */
  key: unknown;
  run: (
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
    skipBroken,
    retention?.key ?? null,
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/**
 * Evaluates a model and writes the report atomically. An evaluation of the same model, data, words and sizes that was
 * cut goes on after its last complete image; one that is finished is read back.
 *
 * @returns null when it was stopped.
 * @throws with one clear line; what is complete stays for the next try.
 */
export async function evaluate(
  model: EvaluatedModel,
  request: EvaluationRequest,
  retention: Retention | null,
  hooks: EvaluationHooks,
): Promise<EvaluationReport | null> {
  const key = keyOf(model, request, retention);
  const finished = await readFinished(request.report, key);
  if (finished) return finished;
  const { data, sizes, folders, skipBroken, words } = request;
  const tally = new EvaluationTally(data.classes, sizes, data.skipped);
  const log = await EvaluationLog.open(request.report, key, (region, entry, place) =>
    tally.addRegion(region, entry, place),
  );
  let closed = false;
  try {
    for (const entry of log.images) tally.addEntry(entry);
    const settings = {
      ...folders,
      sizes,
      patchSize: model.architecture.patchSize,
      cropSize: model.architecture.imageSize,
      normalisation: model.normalisation,
      things: data.classes.map(({ isThing }) => isThing),
      skipBroken,
    };
    const regions = { features: model.features, images: data.images, words, settings };
    if ((await evaluateRegions(regions, log, tally, hooks)) === 'stopped') return null;
    const retained = (await retention?.run(log.retention, entry => log.addRetention(entry), hooks)) ?? null;
    if (retained === 'stopped') return null;
    const report = reportOf(model, request, tally, retained, key);
    await log.publishRegions();
    closed = true;
    await writeJson(request.report, report);
    await log.remove();
    return report;
  } finally {
    if (!closed) await log.close();
  }
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
  retention: RetentionReport | null,
  key: string,
): EvaluationReport {
  const { seconds, forwardSeconds, images, regions, skipped } = tally;
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
    time: { seconds, forwardSeconds, imagesPerSecond: seconds > 0 ? images / seconds : 0 },
    versions: { clipself: version, engine: model.engine },
  };
}
