import type { ImageEntry } from './evaluationLog.ts';
import {
  classKinds,
  type EvaluatedClass,
  type EvaluatedRegion,
  type EvaluationReport,
  type ReadingReport,
  type RegionReading,
  regionReadings,
  type SweepPoint,
  type TwelveNumberName,
} from './protocol.ts';
import { countSkipped, type SkipCounts } from './regionData.ts';
import { RankTally, ReadingTally } from './tally.ts';

type Numbers = EvaluationReport['numbers'];

/** Everything a report counts, as sums. */
export class EvaluationTally {
  readonly #readings: Record<RegionReading, ReadingTally>;
  /** For each further size. */
  readonly #sweep: Record<'rois' | 'maskpool', RankTally>[];
  readonly #sizes: readonly number[];
  readonly skipped: SkipCounts;
  images = 0;
  regions = 0;

  /**
   * @param sizes The main size and those of the sweep.
   * @param skipped What was left out before.
   */
  constructor(classes: readonly EvaluatedClass[], sizes: readonly number[], skipped: SkipCounts) {
    const tally = (): ReadingTally => new ReadingTally(classes);
    this.#readings = { rois: tally(), maskpool: tally(), crops: tally() };
    this.#sizes = sizes;
    this.#sweep = sizes
      .slice(1)
      .map(() => ({ rois: new RankTally(classes), maskpool: new RankTally(classes) }));
    this.skipped = { ...skipped };
  }

  /** An image that is complete; its regions are added one by one. */
  addEntry({ skipped }: ImageEntry): void {
    this.images++;
    for (const [reason, count] of Object.entries(skipped)) countSkipped(this.skipped, reason, count);
  }

  /** @param place Of the region among those of its image. */
  addRegion(region: EvaluatedRegion, { sweep }: ImageEntry, place: number): void {
    this.regions++;
    for (const reading of regionReadings) {
      const ranking = region.readings[reading];
      if (ranking) this.#readings[reading].addRanking(ranking, region.class, region.area);
    }
    for (const [index, ranks] of sweep.entries())
      for (const reading of ['rois', 'maskpool'] as const) {
        const rank = ranks[reading][place] ?? 0;
        if (rank > 0) this.#sweep[index]?.[reading].add(rank, region.class);
      }
  }

  numbers(): Numbers {
    return numbersOf(this.#readings);
  }

  readings(): Partial<Record<RegionReading, ReadingReport>> {
    const reports: Partial<Record<RegionReading, ReadingReport>> = {};
    for (const reading of regionReadings) {
      const report = this.#readings[reading].report();
      if (report.overall.regions > 0) reports[reading] = report;
    }
    return reports;
  }

  /** The main size and the others, ascending; empty without others. Crops do not depend on the size. */
  sweep(): SweepPoint[] {
    if (this.#sweep.length === 0) return [];
    const main = { size: this.#sizes[0]!, numbers: this.numbers() };
    const others = this.#sweep.map((tallies, index) => ({
      size: this.#sizes[index + 1]!,
      numbers: numbersOf({ ...tallies, crops: this.#readings.crops }),
    }));
    return [main, ...others].sort((a, b) => a.size - b.size);
  }
}

/** Without the readings that no region has. */
function numbersOf(tallies: Record<RegionReading, RankTally>): Numbers {
  const numbers: Numbers = {};
  for (const reading of regionReadings) {
    if (tallies[reading].regions === 0) continue;
    for (const kind of classKinds)
      for (const top of [1, 5] as const) {
        const name: TwelveNumberName = `${reading}.${kind}.macc${top}`;
        numbers[name] = tallies[reading].meanAccuracy(kind, top);
      }
  }
  return numbers;
}
