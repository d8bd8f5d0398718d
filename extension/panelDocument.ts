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
 * The document of a panel, as its model sees it. VS Code throws the document away while the panel is hidden: what is
 * posted reaches it only while it listens, each of its requests is answered once, and all are given up with it.
 */
export class PanelDocument<Message, Problem> {
  readonly #post: (message: Message) => void;
  readonly #problemOf: (error: unknown) => Problem;
  readonly #cancellations = new Map<number, AbortController>();
  #serial = 0;
  #listens = false;
  #disposed = false;

  constructor(post: (message: Message) => void, problemOf: (error: unknown) => Problem) {
    this.#post = post;
    this.#problemOf = problemOf;
  }

  get listens(): boolean {
    return this.#listens;
  }

  /** Another number for each document, so that what was begun for an earlier one is not sent to the next. */
  get serial(): number {
    return this.#serial;
  }

  /** The panel is closed for good. */
  get isDisposed(): boolean {
    return this.#disposed;
  }

  /** A new document says that it listens. */
  opened(): void {
    this.gone();
    this.#listens = true;
  }

  /** The document is gone, and with it whoever waits for answers. */
  gone(): void {
    this.#listens = false;
    this.#serial++;
    for (const cancellation of this.#cancellations.values()) cancellation.abort();
    this.#cancellations.clear();
  }

  post(message: Message): void {
    if (this.#listens && !this.#disposed) this.#post(message);
  }

  /** Does what was asked for and says what came of it. */
  async answer<Result>(id: number, work: (options: RequestWork) => Promise<Result>): Promise<void> {
    const serial = this.#serial;
    const cancellation = new AbortController();
    this.#cancellations.set(id, cancellation);
    const tell = (answer: RequestAnswer<Problem>) => {
      if (serial === this.#serial) this.post(answer as Message);
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

  dispose(): void {
    this.gone();
    this.#disposed = true;
  }
}
