/** What distillation leaves of naming whole images: zero-shot accuracy of the evaluated model against the original. */
import { setImmediate } from 'node:timers/promises';
import type { ImageFeatures } from '../dense/imageFeatures.ts';
import { atOwnPace, shareOfPlaces } from '../distributed/ownPace.ts';
import { gatherValues, type World } from '../distributed/world.ts';
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
export function retentionOf(request: RetentionRequest): Retention {
  const { labels, openStudent, teacher } = request;
  return {
    key: [labels.key, teacher?.sha256 ?? null],
    run: async (world, past, add, hooks) => {
      const naming = { world, request, past, add, hooks };
      const student = await ranksOf(naming, 'student', openStudent);
      if (student === 'stopped') return 'stopped';
      const original = teacher && (await ranksOf(naming, 'teacher', teacher.open));
      if (original === 'stopped') return 'stopped';
      return reportOf(student, original);
    },
  };
}

interface Naming {
  world: World;
  request: RetentionRequest;
  past: readonly RetentionEntry[];
  add: (entry: RetentionEntry) => Promise<void>;
  hooks: EvaluationHooks;
}

/** Places of the true class of all images by one model, in their order; the ranks share the batches. */
async function ranksOf(
  { world, request, past, add, hooks }: Naming,
  who: RetentionEntry['retention'],
  open: () => Promise<EmbeddingModel>,
): Promise<number[] | 'stopped'> {
  const total = request.labels.files.length;
  const ranks: (number | undefined)[] = Array.from({ length: total });
  const enter = (entries: readonly RetentionEntry[]): void => {
    for (const { from, ranks: some } of entries)
      for (const [place, rank] of some.entries()) if (from + place < total) ranks[from + place] = rank;
  };
  enter(past.filter(({ retention }) => retention === who));
  const starts = Array.from({ length: Math.ceil(total / imagesAtOnce) }, (_, batch) => batch * imagesAtOnce);
  const due = starts.filter(from => ranks.slice(from, from + imagesAtOnce).includes(undefined));
  if (due.length === 0) return ranks as number[];
  const before = total - due.length * imagesAtOnce;
  const mine: RetentionEntry[] = [];
  const { stopped } = await atOwnPace(world, hooks.stopped, async pace => {
    const model = await open();
    try {
      await nameImages(model, request, shareOfPlaces(world, due), {
        stopped: pace.stopped,
        add: async (from, some, secondsLeft) => {
          mine.push({ retention: who, from, ranks: some });
          await add(mine.at(-1)!);
          pace.done(mine.length * imagesAtOnce);
          hooks.progress(Math.max(0, Math.min(total, before + pace.total())), total, secondsLeft);
        },
      });
    } finally {
      await model.dispose();
    }
  });
  if (stopped) return 'stopped';
  for (const entries of await gatherValues(world, mine)) enter(entries);
  return ranks as number[];
}

interface BatchHooks {
  stopped: () => boolean;
  add: (from: number, ranks: number[], secondsLeft: number) => Promise<void>;
}

/** @param starts First images of the batches. */
async function nameImages(
  { features, imageSize, normalisation }: EmbeddingModel,
  { labels: { files, truths }, words, skipBroken }: RetentionRequest,
  starts: readonly number[],
  { stopped, add }: BatchHooks,
): Promise<void> {
  const settings: WholeImageSettings = { imageSize, normalisation, skipBroken };
  const places = starts.flatMap(from =>
    Array.from({ length: Math.min(imagesAtOnce, files.length - from) }, (_, place) => from + place),
  );
  const loader = new AheadLoader<string, Float32Array | null>({
    program: workerProgram('wholeImageWorker', import.meta.url),
    settings,
    taskOf: item => files[places[item]!]!,
    ahead: imagesAtOnce,
    total: places.length,
  });
  const clock = new StepClock(starts.length);
  const length = 3 * imageSize * imageSize;
  let item = 0;
  try {
    for (const [batch, from] of starts.entries()) {
      await setImmediate();
      if (stopped()) return;
      const started = performance.now();
      const count = Math.min(imagesAtOnce, files.length - from);
      const pixels = new Float32Array(count * length);
      const readable: boolean[] = [];
      for (let place = 0; place < count; place++) {
        const image = await loader.next(item++);
        if (image) pixels.set(image, place * length);
        readable.push(image !== null);
      }
      const embeddings = await features.embeddingsOfPixels(pixels, count);
      const ranks = readable.map((known, place) => {
        const row = embeddings.subarray(place * words.dimension, (place + 1) * words.dimension);
        return known ? rankClasses(row, words, truths[from + place]!).rank : 0;
      });
      clock.add((performance.now() - started) / 1000);
      await add(from, ranks, clock.remainingSeconds(batch + 1));
    }
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
