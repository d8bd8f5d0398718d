/** What the work on a request is given. */
export interface RequestWork {
  signal: AbortSignal;
  progress: (stage: string, fraction: number | null) => void;
}

/** Messages that every panel with requests understands. */
export type RequestAnswer<Problem> =
  | { kind: 'response'; id: number; result: unknown; problem: Problem | null }
  | { kind: 'progress'; id: number; stage: string; fraction: number | null };

/**
 * The requests of one panel: each is answered once, and all are given up with the document that asked. An answer to an
 * earlier document is dropped.
 */
export class PanelRequests<Problem> {
  readonly #post: (answer: RequestAnswer<Problem>) => void;
  readonly #problemOf: (error: unknown) => Problem;
  readonly #cancellations = new Map<number, AbortController>();
  /** Counts documents. */
  #document = 0;

  constructor(post: (answer: RequestAnswer<Problem>) => void, problemOf: (error: unknown) => Problem) {
    this.#post = post;
    this.#problemOf = problemOf;
  }

  /**
   * Does what was asked for and says what came of it.
   */
  async answer<Result>(id: number, work: (options: RequestWork) => Promise<Result>): Promise<void> {
    const document = this.#document;
    const cancellation = new AbortController();
    this.#cancellations.set(id, cancellation);
    const tell = (answer: RequestAnswer<Problem>) => {
      if (document === this.#document) this.#post(answer);
    };
    try {
      const result = await work({
        signal: cancellation.signal,
        progress: (stage, fraction) => tell({ kind: 'progress', id, stage, fraction }),
      });
      tell({ kind: 'response', id, result, problem: null });
    } catch (error) {
      tell({ kind: 'response', id, result: null, problem: this.#problemOf(error) });
    } finally {
      if (this.#cancellations.get(id) === cancellation) this.#cancellations.delete(id);
    }
  }

  cancel(id: number): void {
    this.#cancellations.get(id)?.abort();
  }

  /** The document is gone, and with it whoever waits for answers. */
  forget(): void {
    this.#document++;
    for (const cancellation of this.#cancellations.values()) cancellation.abort();
    this.#cancellations.clear();
  }
}
