import type { ClassAccuracy, EvaluatedClass, RegionReading } from '../../trainer/evaluate/protocol.ts';
import type { ShownReport, Side } from './protocol.ts';

/**
 * Two reports side by side. `before` is null where there is nothing to compare with. Classes are those of `after`; a
 * class is the same in both when its id and name are.
 */
export class Comparison {
  readonly before: ShownReport | null;
  readonly after: ShownReport;
  /** Place in `before` of each class of `after`; −1 where it is not there. */
  readonly #beforePlaces: Int32Array;
  readonly #afterPlaces: Int32Array;

  constructor(before: ShownReport | null, after: ShownReport) {
    this.before = before;
    this.after = after;
    this.#beforePlaces = placesOf(after.classes, before?.classes ?? []);
    this.#afterPlaces = placesOf(before?.classes ?? [], after.classes);
  }

  get classes(): readonly EvaluatedClass[] {
    return this.after.classes;
  }

  report(side: Side): ShownReport | null {
    return side === 'after' ? this.after : this.before;
  }

  /** Place of a class of `after` in a side's report; −1 where it is not there. */
  placeIn(side: Side, place: number): number {
    return side === 'after' ? place : (this.#beforePlaces[place] ?? -1);
  }

  /** Place in `after` of a class of a side's report; −1 where it is not there. */
  placeFrom(side: Side, place: number): number {
    return side === 'after' ? place : (this.#afterPlaces[place] ?? -1);
  }

  /** Accuracy of every class of `after` that has regions on a side, by its place in `after`. */
  perClass(side: Side, reading: RegionReading): Map<number, ClassAccuracy> {
    const entries = this.report(side)?.readings[reading]?.perClass ?? [];
    const found = new Map<number, ClassAccuracy>();
    for (const entry of entries) {
      const place = this.placeFrom(side, entry.class);
      if (place >= 0) found.set(place, entry);
    }
    return found;
  }

  /** What keeps the numbers from being comparable; empty where nothing does. */
  warnings(): string[] {
    const { before, after } = this;
    if (before === null) return [];
    const found: string[] = [];
    if (before.data.sha256 !== after.data.sha256) found.push('they were evaluated on different annotations');
    if (before.words.sha256 !== after.words.sha256) found.push('their class words differ');
    if (before.size !== after.size) found.push(`their inputs are ${before.size} px and ${after.size} px`);
    if (before.counts.regions !== after.counts.regions)
      found.push(`they count ${before.counts.regions} and ${after.counts.regions} regions`);
    return found;
  }
}

function placesOf(classes: readonly EvaluatedClass[], others: readonly EvaluatedClass[]): Int32Array {
  const key = ({ id, name }: EvaluatedClass): string => `${id} ${name}`;
  const places = new Map(others.map((entry, place) => [key(entry), place]));
  return Int32Array.from(classes, entry => places.get(key(entry)) ?? -1);
}
