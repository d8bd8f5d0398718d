/** Names the regions of a data set by dense features and by crops (paper section 4.1, reference: zero-shot evaluation). */
import { setImmediate } from 'node:timers/promises';
import { type ImageFeatures, poolRows } from '../dense/imageFeatures.ts';
import { AheadLoader, workerProgram } from '../images/aheadLoader.ts';
import type { ClassEmbeddings } from '../text/classEmbeddings.ts';
import { StepClock } from '../training/progress.ts';
import { CropBatches } from './cropBatches.ts';
import type { EvaluationLog, ImageEntry, SizeRanks } from './evaluationLog.ts';
import type { PreparationSettings, PreparedImage } from './prepareRegions.ts';
import type { EvaluatedRegion } from './protocol.ts';
import { rankClasses } from './ranking.ts';
import type { AnnotatedImage } from './regionData.ts';

/** Crops that are embedded together. */
const cropsAtOnce = 16;
/** Images decoded ahead of the one that is being looked at. */
const imagesAhead = 2;

export interface EvaluationHooks {
  /** Asked between images; true ends the evaluation after what has been begun. */
  stopped: () => boolean;
  /** @param done Of the `total` images; of several ranks together. */
  progress: (done: number, total: number, secondsLeft: number) => void;
}

export interface RegionEvaluation {
  features: ImageFeatures;
  images: readonly AnnotatedImage[];
  words: ClassEmbeddings;
  /** Its first size is the main one; the others are the sweep. */
  settings: PreparationSettings;
}

/** An image whose dense features have been read and whose crops are on their way. */
interface OpenedImage {
  entry: ImageEntry;
  regions: EvaluatedRegion[];
  missingCrops: number;
}

/**
 * Evaluates images and adds them to the log.
 *
 * @param due Places of the images to evaluate, in the order of the data set.
 * @throws with one clear line when the data is broken and its settings do not skip that.
 */
export async function evaluateRegions(
  { features, images, words, settings }: RegionEvaluation,
  due: readonly number[],
  log: EvaluationLog,
  hooks: EvaluationHooks,
): Promise<void> {
  if (due.length === 0) return;
  const loader = new AheadLoader<AnnotatedImage, PreparedImage>({
    program: workerProgram('regionWorker', import.meta.url),
    settings,
    taskOf: item => plain(images[due[item]!]!),
    ahead: imagesAhead,
    total: due.length,
  });
  const timer = new ForwardTimer();
  const clock = new StepClock(due.length);
  const crops = new CropBatches(
    (pixels, count) => timer.time(() => features.embeddingsOfPixels(pixels, count)),
    cropsAtOnce,
  );
  const opened: OpenedImage[] = [];
  const closeComplete = async (): Promise<void> => {
    while (opened[0]?.missingCrops === 0) {
      const { entry, regions } = opened.shift()!;
      Object.assign(entry, timer.lap());
      await log.addImage(entry, regions);
    }
  };
  try {
    for (const [item, index] of due.entries()) {
      // Signals and requests on the control pipe are heard here.
      await setImmediate();
      if (hooks.stopped()) break;
      const started = performance.now();
      const prepared = await loader.next(item);
      const image = await openImage(index, prepared);
      opened.push(image);
      await crops.add(prepared.crops, image.regions.length, (place, embedding) => {
        const region = image.regions[place]!;
        region.readings.crops = rankClasses(embedding, words, region.class);
        image.missingCrops--;
      });
      await closeComplete();
      clock.add((performance.now() - started) / 1000);
      hooks.progress(item + 1, due.length, clock.remainingSeconds(item + 1));
    }
    await crops.finish();
    await closeComplete();
  } finally {
    await loader.dispose();
  }

  async function openImage(index: number, prepared: PreparedImage): Promise<OpenedImage> {
    const { file } = images[index]!;
    const regions = prepared.regions.map(
      ({ segment, class: position, box, area }): EvaluatedRegion => ({
        image: file,
        segment,
        class: position,
        box,
        area,
        readings: {},
      }),
    );
    const sweep: SizeRanks[] = settings.sizes.slice(1).map(() => ({ rois: [], maskpool: [] }));
    for (const [place, { pixels, boxRows, maskRows }] of prepared.sizes.entries()) {
      const size = settings.sizes[place]!;
      const dense = await timer.time(() => features.denseOfPixels(pixels, size));
      const cells = Math.floor(size / settings.patchSize) ** 2;
      const pooled = { rois: poolRows(boxRows, dense, cells), maskpool: poolRows(maskRows, dense, cells) };
      for (const [row, region] of regions.entries())
        for (const reading of ['rois', 'maskpool'] as const) {
          if (reading === 'maskpool' && !prepared.regions[row]!.hasMask) {
            if (place > 0) sweep[place - 1]!.maskpool.push(0);
            continue;
          }
          const feature = pooled[reading].subarray(row * words.dimension, (row + 1) * words.dimension);
          const ranking = rankClasses(feature, words, region.class);
          if (place === 0) region.readings[reading] = ranking;
          else sweep[place - 1]![reading].push(ranking.rank);
        }
    }
    const entry = { image: index, regions: regions.length, skipped: prepared.skipped, sweep };
    return { entry: { ...entry, seconds: 0, forwardSeconds: 0 }, regions, missingCrops: regions.length };
  }
}

/** What the worker needs; objects of a class lose their getters on the way to a thread. */
const plain = ({ file, member, stated, maskFile, regions }: AnnotatedImage): AnnotatedImage => ({
  file,
  ...(member ? { member } : {}),
  stated,
  maskFile,
  regions: [...regions],
});

/** Wall time since the last lap, and the share of it in forward passes. */
class ForwardTimer {
  #since = performance.now();
  #forward = 0;

  async time<T>(work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await work();
    } finally {
      this.#forward += performance.now() - started;
    }
  }

  lap(): { seconds: number; forwardSeconds: number } {
    const now = performance.now();
    const lap = { seconds: (now - this.#since) / 1000, forwardSeconds: this.#forward / 1000 };
    this.#since = now;
    this.#forward = 0;
    return lap;
  }
}
