type Corners = readonly [number, number, number, number];

/** Overlap at which a box counts as found. */
const foundOverlap = 0.5;

/** Intersection over union of two boxes x0, y0, x1, y1. */
export function overlapOf(a: Corners, b: Corners): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const common = width * height;
  return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common);
}

/** Counts how many true boxes the first proposals of each image find at an overlap of at least 0.5. */
export class RecallCount {
  readonly #budgets: readonly number[];
  readonly #found: number[];
  #truth = 0;

  /** @param budgets Numbers of proposals of an image, for example 10, 50 and 100. */
  constructor(budgets: readonly number[]) {
    this.#budgets = budgets;
    this.#found = budgets.map(() => 0);
  }

  /** True boxes so far. */
  get truth(): number {
    return this.#truth;
  }

  add(proposals: readonly Corners[], truth: readonly Corners[]): void {
    for (const box of truth) {
      const first = proposals.findIndex(proposal => overlapOf(proposal, box) >= foundOverlap);
      this.#truth++;
      this.#budgets.forEach((budget, index) => {
        if (first >= 0 && first < budget) this.#found[index]!++;
      });
    }
  }

  /** Share of the true boxes that were found, by budget; NaN without any. */
  shares(): { boxes: number; recall: number }[] {
    return this.#budgets.map((boxes, index) => ({ boxes, recall: this.#found[index]! / this.#truth }));
  }
}
