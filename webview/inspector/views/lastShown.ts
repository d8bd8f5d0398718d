import type { ReadyColumn } from './view.ts';

/**
 * What each column showed last, to be shown until the answer for its next map is there: else the picture would flicker
 * while the saved steps of a run are played. Only for maps of the same image and grid.
 */
export class LastShown<Shown> {
  readonly #byColumn = new Map<number, { shown: Shown; fits: string }>();

  /** Takes what there is, or gives what was shown before; null for neither. */
  orBefore(column: ReadyColumn, shown: Shown | null): Shown | null {
    const { rows, columns } = column.map.grid;
    const fits = `${column.map.image}|${rows}|${columns}`;
    const before = this.#byColumn.get(column.index);
    if (shown !== null) this.#byColumn.set(column.index, { shown, fits });
    return shown ?? (before?.fits === fits ? before.shown : null);
  }
}
