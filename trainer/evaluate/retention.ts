/** What distillation leaves of naming whole images: zero-shot accuracy of the evaluated model against the original. */
import { setImmediate } from 'node:timers/promises';
import type { ImageFeatures } from '../dense/imageFeatures.ts';
import { AheadLoader, workerProgram } from '../images/aheadLoader.ts';
import type { ImageNormalisation } from '../images/normalise.ts';
import type { ClassEmbeddings } from '../text/classEmbeddings.ts';
import { StepClock } from '../training/progress.ts';
import type { EvaluationHooks } from './evaluateRegions.ts';
import type { Retention } from './evaluation.ts';
import type { RetentionEntry } from './evaluationLog.ts';
import type { LabelledImages } from './imageLabels.ts';
import type { RetentionReport } from './protocol.ts';
import { rankClasses } from './ranking.ts';
import type { WholeImageSettings } from './wholeImages.ts';

/** Images that are embedded together. */
const imagesAtOnce = 16;

/** A model that embeds whole images. Dispose of it when done. */
export interface EmbeddingModel {
  features: Pick<ImageFeatures, 'embeddingsOfPixels'>;
  imageSize: number;
  normalisation: ImageNormalisation;
  dispose(): Promise<void>;
}

export interface RetentionRequest {
  labels: LabelledImages;
  words: ClassEmbeddings;
  skipBroken: boolean;
  openStudent: () => Promise<EmbeddingModel>;
  /** Null where the original is not known. */
  teacher: { sha256: string; open: () => Promise<EmbeddingModel> } | null;
}

/** Whole images to name beside the regions of an evaluation. */
export function retentionOf({
  labels,
  words,
  skipBroken,
  openStudent,
  teacher,
}: RetentionRequest): Retention {
  const ranksOf = async (
    who: RetentionEntry['retention'],
    open: () => Promise<EmbeddingModel>,
    past: readonly RetentionEntry[],
    add: (entry: RetentionEntry) => Promise<void>,
    hooks: EvaluationHooks,
  ): Promise<number[] | 'stopped'> => {
    const ranks = past.filter(({ retention }) => retention === who).flatMap(entry => entry.ranks);
    if (ranks.length >= labels.files.length) return ranks;
    const model = await open();
    try {
      return await nameImages(model, { labels, words, skipBroken, ranks }, hooks, (from, more) =>
        add({ retention: who, from, ranks: more }),
      );
    } finally {
      await model.dispose();
    }
  };
  return {
    key: [labels.key, teacher?.sha256 ?? null],
    run: async (past, add, hooks) => {
      const student = await ranksOf('student', openStudent, past, add, hooks);
      if (student === 'stopped') return 'stopped';
      const original = teacher && (await ranksOf('teacher', teacher.open, past, add, hooks));
      if (original === 'stopped') return 'stopped';
      return reportOf(student, original);
    },
  };
}

interface Naming {
  labels: LabelledImages;
  words: ClassEmbeddings;
  skipBroken: boolean;
  /** Of the images that are done; grows. */
  ranks: number[];
}

async function nameImages(
  { features, imageSize, normalisation }: EmbeddingModel,
  { labels: { files, truths }, words, skipBroken, ranks }: Naming,
  hooks: EvaluationHooks,
  add: (from: number, ranks: number[]) => Promise<void>,
): Promise<number[] | 'stopped'> {
  const settings: WholeImageSettings = { imageSize, normalisation, skipBroken };
  const loader = new AheadLoader<string, Float32Array | null>({
    program: workerProgram('wholeImageWorker', import.meta.url),
    settings,
    taskOf: index => files[index]!,
    ahead: imagesAtOnce,
    total: files.length,
  });
  const clock = new StepClock(Math.ceil(files.length / imagesAtOnce));
  const length = 3 * imageSize * imageSize;
  try {
    while (ranks.length < files.length) {
      await setImmediate();
      if (hooks.stopped()) return 'stopped';
      const started = performance.now();
      const from = ranks.length;
      const count = Math.min(imagesAtOnce, files.length - from);
      const pixels = new Float32Array(count * length);
      const readable: boolean[] = [];
      for (let place = 0; place < count; place++) {
        const image = await loader.next(from + place);
        if (image) pixels.set(image, place * length);
        readable.push(image !== null);
      }
      const embeddings = await features.embeddingsOfPixels(pixels, count);
      const more = readable.map((known, place) => {
        const row = embeddings.subarray(place * words.dimension, (place + 1) * words.dimension);
        return known ? rankClasses(row, words, truths[from + place]!).rank : 0;
      });
      await add(from, more);
      ranks.push(...more);
      clock.add((performance.now() - started) / 1000);
      hooks.progress(
        ranks.length,
        files.length,
        clock.remainingSeconds(Math.ceil(ranks.length / imagesAtOnce)),
      );
    }
    return ranks;
  } finally {
    await loader.dispose();
  }
}

function reportOf(student: readonly number[], teacher: readonly number[] | null): RetentionReport {
  const accuracy = (ranks: readonly number[]): { top1: number; top5: number } => {
    const known = ranks.filter(rank => rank > 0);
    const share = (most: number): number =>
      known.length === 0 ? 0 : known.filter(rank => rank <= most).length / known.length;
    return { top1: share(1), top5: share(5) };
  };
  return {
    images: student.filter(rank => rank > 0).length,
    student: accuracy(student),
    teacher: teacher && accuracy(teacher),
  };
}
