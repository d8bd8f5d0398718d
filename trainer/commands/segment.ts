import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { writeJson } from '../checkpoints/jsonFile.ts';
import { hashWeights } from '../checkpoints/modelFiles.ts';
import { modelPath } from '../checkpoints/modelsFolder.ts';
import type { LoadedTower } from '../dense/loadTower.ts';
import { soloWorld } from '../distributed/world.ts';
import { openEngine } from '../engineChoice/openEngine.ts';
import type { Engine } from '../engines/engine.ts';
import { hashWords } from '../evaluate/evaluation.ts';
import { findWords } from '../evaluate/words.ts';
import { type Hashes, type ResolvedModel, resolveReference } from '../inspect/modelReference.ts';
import type { RunLog } from '../runs/runLog.ts';
import { type LabelledData, type LabelledImage, openLabels } from '../segment/labels.ts';
import { type OverlayImage, writeOverlays } from '../segment/overlays.ts';
import {
  namedReadings,
  type SegmentationReport,
  type SegmentSide,
  type SegmentSideReport,
  segmentSides,
} from '../segment/protocol.ts';
import { type SegmentingModel, type SegmentResult, segmentImages } from '../segment/segmentImages.ts';
import { SegmentLog } from '../segment/segmentLog.ts';
import type { StopSwitch } from '../server.ts';
import { formatDuration } from '../training/progress.ts';
import { checkSize } from '../training/settings.ts';
import { version } from '../version.ts';
import { openModel, rememberingHashes, textProgress } from './evaluate.ts';
import { resolveOriginal } from './originalModel.ts';
import { openTextCache } from './readingText.ts';
import { readSegmentOptions, type SegmentOptions, segmentHelp } from './segmentOptions.ts';
import { stoppable } from './stoppable.ts';

/** `clipself segment`. */
export async function segmentCommand(args: string[]): Promise<void> {
  const options = readSegmentOptions(args);
  if (!options) {
    console.log(segmentHelp);
    return;
  }
  const report = await stoppable(soloWorld, (log, stop) => segmentModels(options, log, stop));
  if (report) printReport(report, options);
  else if (options.json) console.log(JSON.stringify({ state: 'stopped', out: options.out }));
  else console.log('stopped; the same command goes on from there');
}

/** A model of the comparison, found but not loaded. */
interface FoundModel {
  resolved: ResolvedModel;
  identity: SegmentSideReport['model'];
}

/** A loaded one. */
interface OpenSide {
  tower: LoadedTower;
  segmenting: SegmentingModel;
  report: Pick<SegmentSideReport, 'model' | 'words'>;
}

/** @returns null when it was stopped. */
async function segmentModels(
  options: SegmentOptions,
  log: RunLog,
  stop: StopSwitch,
): Promise<SegmentationReport | null> {
  const started = performance.now();
  const hashes = rememberingHashes();
  const found = await findModels(options, hashes, log);
  const { architecture } = found.after.resolved.files;
  const size = options.size ?? 2 * architecture.imageSize;
  for (const side of segmentSides) if (found[side]) checkSize(size, found[side].resolved.files.architecture);
  log.progress(`reading ${options.labels}`);
  const data = await openLabels(options);
  const images = options.limit === null ? data.images : data.images.slice(0, options.limit);
  const engine = await openEngine({ name: options.engine, threads: options.threads, architecture }, line =>
    log.info(line),
  );
  const open: Partial<Record<SegmentSide, OpenSide>> = {};
  try {
    for (const side of segmentSides)
      if (found[side])
        open[side] = await openSide(found[side], options, { ...data, images }, engine, log, stop);
    const models = { after: open.after!.segmenting, ...(open.before && { before: open.before.segmenting }) };
    const key = keyOf(options, { data, size, open, images, engine });
    const begun = await SegmentLog.open(options.out, key, await labelStates(options, images));
    if (begun.past.length > 0) log.info(`going on after ${begun.past.length} of ${images.length} images`);
    const request = {
      models,
      images,
      size,
      skipBroken: options.skipBroken,
      overlays: {
        count: options.overlays === null ? 0 : options.overlayCount,
        write: (image: OverlayImage) => writeOverlays(options.overlays!, options.out, image),
      },
    };
    const result = await segmentImages(request, begun, {
      stopped: () => stop.requested,
      progress: (done, total, secondsLeft) =>
        log.progress(`image ${done}/${total}  ${formatDuration(secondsLeft)} left`),
    }).finally(() => begun.close());
    if (result === null) return null;
    const seconds = (performance.now() - started) / 1000;
    const report = reportOf(options, { data, size, open, result, seconds, engine });
    await writeJson(options.out, report);
    await begun.remove();
    return report;
  } finally {
    for (const side of Object.values(open)) await side.tower.dispose();
    await engine.dispose();
  }
}

async function findModels(
  { model, arch, step, before, alone }: SegmentOptions,
  hashes: Hashes,
  log: RunLog,
): Promise<{ before: FoundModel | null; after: FoundModel }> {
  const after = await resolveReference({ path: await modelPath(model), arch, step, blend: null }, hashes);
  for (const warning of after.files.warnings) log.warn(warning);
  const name = `${path.basename(path.resolve(model))}${step === null ? '' : `, step ${step}`}`;
  const named = async (resolved: ResolvedModel, label: string, place: string): Promise<FoundModel> => ({
    resolved,
    identity: {
      name: label,
      path: place,
      sha256:
        resolved.step === null ? await hashWeights(resolved.files, file => hashes.of(file)) : resolved.hash,
    },
  });
  const identified = await named(after, name, path.resolve(model));
  if (before !== null)
    return {
      before: await named(
        await resolveOriginal(before, arch, hashes),
        path.basename(path.resolve(before)),
        path.resolve(before),
      ),
      after: identified,
    };
  if (alone || after.source === null) return { before: null, after: identified };
  const original = await resolveReference(after.source, hashes);
  return { before: await named(original, `${name}, original`, after.source.path), after: identified };
}

async function openSide(
  { resolved, identity }: FoundModel,
  options: SegmentOptions,
  { classes, images }: LabelledData,
  engine: Engine,
  log: RunLog,
  stop: StopSwitch,
): Promise<OpenSide> {
  const listed = classes.map(entry => ({ ...entry, isThing: true }));
  const reading = { files: resolved.files, hash: resolved.hash, source: resolved.source?.path ?? null };
  const found = await findWords(options, listed, reading);
  const words = await found.load(engine, { cache: await openTextCache(), ...textProgress(log, stop) });
  const tower = await openModel(resolved, engine, images.length);
  const { patchSize } = resolved.files.architecture;
  return {
    tower,
    segmenting: { features: tower.features, patchSize, words },
    report: { model: identity, words: { source: found.source, sha256: hashWords(words) } },
  };
}

/** What results depend on: work that was begun with the same key goes on. */
function keyOf(
  { labels, format, images: folder, masks, skipBroken, overlays, overlayCount }: SegmentOptions,
  { data, size, open, images, engine }: Omit<Finished, 'result' | 'seconds'> & { images: LabelledImage[] },
): string {
  const names = createHash('sha256').update(images.map(({ image }) => image).join('\0'));
  const asked = [
    labels,
    format,
    folder,
    masks,
    skipBroken,
    overlays,
    overlayCount,
    size,
    names.digest('hex'),
  ];
  const sides = segmentSides.map(
    side => open[side] && [open[side].report.model.sha256, open[side].report.words],
  );
  const parts = [version, engine.name, engine.version, data.classes, asked, sides];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** For each image a text that is another one when its labels were written since. */
async function labelStates({ labels, format }: SegmentOptions, images: LabelledImage[]): Promise<string[]> {
  const stateOf = (file: string): Promise<string> =>
    stat(file).then(
      ({ size, mtimeMs }) => `${size}@${mtimeMs}`,
      () => 'gone',
    );
  const annotations = format === 'panoptic' ? await stateOf(labels) : '';
  const states: string[] = [];
  for (const { labelFile } of images) states.push(`${annotations} ${await stateOf(labelFile)}`);
  return states;
}

interface Finished {
  data: LabelledData;
  size: number;
  open: Partial<Record<SegmentSide, OpenSide>>;
  result: SegmentResult;
  seconds: number;
  engine: Engine;
}

function reportOf(
  { labels, format, images }: SegmentOptions,
  { data, size, open, result, seconds, engine }: Finished,
): SegmentationReport {
  const { images: done, pixels, ignored } = result;
  const skipped = { ...data.skipped };
  for (const [reason, count] of Object.entries(result.skipped))
    skipped[reason] = (skipped[reason] ?? 0) + count;
  return {
    schema: 1,
    kind: 'segmentation',
    created: new Date().toISOString(),
    data: { labels, format, images },
    size,
    classes: data.classes,
    counts: { images: done, pixels, ignored, skipped },
    before: open.before ? { ...open.before.report, ...result.sides.before! } : null,
    after: { ...open.after!.report, ...result.sides.after! },
    overlays: result.overlays,
    time: { seconds, imagesPerSecond: done / seconds },
    versions: { clipself: version, engine: engine.version },
  };
}

function printReport(report: SegmentationReport, { out, json }: SegmentOptions): void {
  const { before, after, counts, time } = report;
  if (json) {
    const numbers = (side: SegmentSideReport | null) =>
      side && {
        miou: side.pixels.miou,
        pixelAccuracy: side.pixels.pixelAccuracy,
        map: { boxes: side.naming.boxes.map, masks: side.naming.masks.map },
      };
    const sides = { before: numbers(before), after: numbers(after) };
    console.log(JSON.stringify({ state: 'finished', out, ...sides, counts, time }));
    return;
  }
  console.log(`${''.padEnd(28)}${before ? 'before'.padStart(10) : ''}${'after'.padStart(10)}`);
  const line = (label: string, of: (side: SegmentSideReport) => number | null): void => {
    const values = [...(before ? [before] : []), after].map(side => percent(of(side)).padStart(10));
    console.log(label.padEnd(28) + values.join(''));
  };
  line('mean IoU', ({ pixels }) => pixels.miou);
  line('pixel accuracy', ({ pixels }) => pixels.pixelAccuracy);
  line('mean accuracy of classes', ({ pixels }) => pixels.meanAccuracy);
  for (const reading of namedReadings) line(`${reading}: mean AP`, ({ naming }) => naming[reading].map);
  for (const reading of namedReadings)
    line(`${reading}: named rightly`, ({ naming }) => naming[reading].accuracy);
  const skipped = Object.entries(counts.skipped).map(([reason, count]) => `${count} ${reason}`);
  if (skipped.length > 0) console.log(`left out: ${skipped.join(', ')}`);
  console.log(`${counts.images} images, ${time.imagesPerSecond.toPrecision(3)} images/s: ${out}`);
}

const percent = (share: number | null): string => (share === null ? '–' : `${(share * 100).toFixed(1)} %`);
