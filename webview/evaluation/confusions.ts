import type { RegionReading } from '../../trainer/evaluate/protocol.ts';
import type { Comparison } from './comparison.ts';
import type { MatrixOrder, MatrixSide, Side } from './protocol.ts';

/** One cell of the matrix that holds something. Classes are places in the classes of `after`. */
export interface ConfusionCell {
  truth: number;
  named: number;
  regions: number;
}

/** What happened between a true class and a named one on both sides. */
export interface CellNumbers {
  /** Regions so named; 0 where it never happened. */
  before: number;
  after: number;
  /** Regions of the true class. */
  beforeOf: number;
  afterOf: number;
}

/** Confusions of one reading on both sides, sparse: a thousand classes have a million cells, nearly all empty. */
export class Confusions {
  readonly #classes: number;
  readonly #cells: Record<Side, Map<number, number>>;
  readonly #totals: Record<Side, Uint32Array>;

  constructor(comparison: Comparison, reading: RegionReading) {
    const count = comparison.classes.length;
    this.#classes = count;
    this.#cells = { before: new Map(), after: new Map() };
    this.#totals = { before: new Uint32Array(count), after: new Uint32Array(count) };
    for (const side of ['before', 'after'] as const) {
      const packed = comparison.report(side)?.readings[reading]?.confusions;
      const triples = new Uint32Array(packed ?? new ArrayBuffer(0));
      for (let at = 0; at + 2 < triples.length; at += 3) {
        const truth = comparison.placeFrom(side, triples[at]!);
        const named = comparison.placeFrom(side, triples[at + 1]!);
        if (truth < 0 || named < 0) continue;
        const key = truth * count + named;
        const regions = triples[at + 2]!;
        this.#cells[side].set(key, (this.#cells[side].get(key) ?? 0) + regions);
        this.#totals[side][truth] = this.#totals[side][truth]! + regions;
      }
    }
  }

  at(truth: number, named: number): CellNumbers {
    const key = truth * this.#classes + named;
    return {
      before: this.#cells.before.get(key) ?? 0,
      after: this.#cells.after.get(key) ?? 0,
      beforeOf: this.#totals.before[truth] ?? 0,
      afterOf: this.#totals.after[truth] ?? 0,
    };
  }

  /** Every cell that holds something on either side, each once. */
  *keys(): Generator<[truth: number, named: number]> {
    const place = (key: number): [number, number] => [Math.floor(key / this.#classes), key % this.#classes];
    for (const key of this.#cells.after.keys()) yield place(key);
    for (const key of this.#cells.before.keys()) if (!this.#cells.after.has(key)) yield place(key);
  }

  /** Share of the true class's regions that were named so, or its change; −1 … 1. */
  share(truth: number, named: number, side: MatrixSide): number {
    const { before, after, beforeOf, afterOf } = this.at(truth, named);
    const was = beforeOf === 0 ? 0 : before / beforeOf;
    const is = afterOf === 0 ? 0 : after / afterOf;
    return side === 'before' ? was : side === 'after' ? is : is - was;
  }

  /** Classes that have regions or were named, in the wanted order. */
  order(order: MatrixOrder): number[] {
    const appear = new Set<number>();
    for (const [truth, named] of this.keys()) appear.add(truth).add(named);
    const places = [...appear].sort((a, b) => a - b);
    if (order === 'data') return places;
    const total = (place: number): number =>
      Math.max(this.#totals.after[place]!, this.#totals.before[place]!);
    return places.sort((a, b) => total(b) - total(a) || a - b);
  }

  /** The most frequent mistakes of a side; for `change` those that changed most. */
  worst(side: MatrixSide, count: number): ConfusionCell[] {
    const cells: ConfusionCell[] = [];
    for (const [truth, named] of this.keys()) {
      if (truth === named) continue;
      const { before, after } = this.at(truth, named);
      const regions = side === 'before' ? before : side === 'after' ? after : after - before;
      if (regions !== 0) cells.push({ truth, named, regions });
    }
    cells.sort((a, b) => Math.abs(b.regions) - Math.abs(a.regions) || a.truth - b.truth || a.named - b.named);
    return cells.slice(0, count);
  }
}
