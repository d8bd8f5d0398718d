import type { SkippedImage } from '../images/batch.ts';
import type { RunRecords } from '../runs/runRecords.ts';

/** Names each unusable image once in a trainer's life. */
export class SkippedImages {
  readonly #records: RunRecords;
  readonly #named = new Set<string>();

  constructor(records: RunRecords) {
    this.#records = records;
  }

  report(skipped: readonly SkippedImage[], step: number): void {
    for (const { file, reason } of skipped) {
      const message = `skipped ${file}: ${reason}`;
      if (this.#named.has(message)) continue;
      this.#named.add(message);
      this.#records.warn(step, `${message} (${this.#named.size} so far)`);
    }
  }
}
