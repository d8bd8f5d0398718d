import { fromFloat16, toFloat16 } from '../float16.ts';
import type {
  Accuracy,
  ClassKind,
  Confusion,
  EvaluatedClass,
  ReadingReport,
  RegionRanking,
  RegionSize,
} from './protocol.ts';

/** Sums over some regions. */
interface Sums {
  regions: number;
  top1: number;
  top5: number;
  margin: number;
  /** Regions that have a margin: it needs a second class. */
  margins: number;
}

const noSums = (): Sums => ({ regions: 0, top1: 0, top5: 0, margin: 0, margins: 0 });

/** Area of a mask below which COCO calls a region small, and medium. */
const [smallArea, mediumArea] = [32 ** 2, 96 ** 2];

const sizeOfArea = (area: number): RegionSize =>
  area < smallArea ? 'small' : area < mediumArea ? 'medium' : 'large';

/** The true class's cosine minus the best other class's; null when there is no other. */
function marginOf({ top, cosines, trueCosine }: RegionRanking, truth: number): number | null {
  const best = top[0] === truth ? cosines[1] : cosines[0];
  return best === undefined ? null : trueCosine - best;
}

/** Counts how often the true class came first and among the first five, by class. */
export class RankTally {
  protected readonly classes: readonly EvaluatedClass[];
  protected readonly perClass: Sums[];
  /** Regions counted. */
  regions = 0;

  constructor(classes: readonly EvaluatedClass[]) {
    this.classes = classes;
    this.perClass = classes.map(noSums);
  }

  /**
   * @param rank Place of the true class, from 1.
   * @param truth Position of the true class.
   */
  add(rank: number, truth: number): void {
    this.regions++;
    addRank(this.perClass[truth]!, rank);
  }

  /** Mean accuracy over the classes of a kind that have regions; null when there are none. */
  meanAccuracy(kind: ClassKind, top: 1 | 5): number | null {
    const counted = this.perClass.filter(
      ({ regions }, position) => regions > 0 && this.classes[position]!.isThing === (kind === 'thing'),
    );
    return meanOfClasses(counted.map(sums => ({ regions: sums.regions, hits: sums[`top${top}`] })));
  }
}

/** Counts how regions were named by one reading; holds sums alone, however many regions there are. */
export class ReadingTally extends RankTally {
  readonly #overall = noSums();
  readonly #bySize: Record<RegionSize, Sums> = { small: noSums(), medium: noSums(), large: noSums() };
  /** By truth · classes + named. */
  readonly #confusions = new Map<number, number>();

  /** @param area Of the region in pixels. */
  addRanking(ranking: RegionRanking, truth: number, area: number): void {
    this.add(ranking.rank, truth);
    const [overall, ofSize] = [this.#overall, this.#bySize[sizeOfArea(area)]];
    addRank(overall, ranking.rank);
    addRank(ofSize, ranking.rank);
    const margin = marginOf(ranking, truth);
    if (margin !== null)
      for (const sums of [overall, ofSize, this.perClass[truth]!]) {
        sums.margin += margin;
        sums.margins++;
      }
    const key = truth * this.classes.length + ranking.top[0]!;
    this.#confusions.set(key, (this.#confusions.get(key) ?? 0) + 1);
  }

  report(): ReadingReport {
    const { small, medium, large } = this.#bySize;
    return {
      overall: accuracyOf(this.#overall),
      bySize: { small: accuracyOf(small), medium: accuracyOf(medium), large: accuracyOf(large) },
      perClass: this.perClass.flatMap((sums, position) =>
        sums.regions > 0 ? [{ class: position, ...accuracyOf(sums) }] : [],
      ),
      confusions: this.#confusionList(),
    };
  }

  #confusionList(): Confusion[] {
    const count = this.classes.length;
    return [...this.#confusions]
      .sort(([a], [b]) => a - b)
      .map(([key, regions]) => ({ truth: Math.floor(key / count), named: key % count, regions }));
  }
}

function addRank(sums: Sums, rank: number): void {
  sums.regions++;
  if (rank === 1) sums.top1++;
  if (rank <= 5) sums.top5++;
}

/** The reference rounds the accuracy of each class to float16 before it takes their mean. */
function meanOfClasses(classes: readonly { regions: number; hits: number }[]): number | null {
  if (classes.length === 0) return null;
  const exact = Float32Array.from(classes, ({ regions, hits }) => hits / regions);
  const sum = fromFloat16(toFloat16(exact)).reduce((total, accuracy) => total + accuracy, 0);
  return sum / classes.length;
}

function accuracyOf({ regions, top1, top5, margin, margins }: Sums): Accuracy {
  const share = (hits: number): number | null => (regions === 0 ? null : hits / regions);
  return {
    regions,
    top1: share(top1),
    top5: share(top5),
    margin: margins === 0 ? null : margin / margins,
  };
}
