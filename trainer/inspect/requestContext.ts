import { setImmediate } from 'node:timers/promises';
import type { CancellationToken } from 'vscode-jsonrpc/node';
import { cancelledError } from './inspectError.ts';
import type { InspectStage } from './protocol.ts';

/** What a request in work may ask and tell: whether it is still wanted, and how far it is. */
export class RequestContext {
  readonly #token: Pick<CancellationToken, 'isCancellationRequested'>;
  readonly #report: (stage: InspectStage, fraction: number) => void;
  #fraction = 0;

  constructor(
    token: Pick<CancellationToken, 'isCancellationRequested'>,
    report: (stage: InspectStage, fraction: number) => void,
  ) {
    this.#token = token;
    this.#report = report;
  }

  /** The context of a part of the work, whose progress fills `from` … `to` of this one's. */
  part(from: number, to: number): RequestContext {
    return new RequestContext(this.#token, (stage, fraction) => {
      this.progress(stage, from + (to - from) * fraction);
    });
  }

  /** Throws when the request was cancelled. */
  check(): void {
    if (this.#token.isCancellationRequested) throw cancelledError();
  }

  /** Lets a cancellation that has arrived be read, then checks: it takes a turn to be read and one to be dispatched. */
  async breathe(): Promise<void> {
    await setImmediate();
    await setImmediate();
    this.check();
  }

  /** @param fraction of the whole request; what would fall stays. */
  progress(stage: InspectStage, fraction: number): void {
    this.#fraction = Math.max(this.#fraction, Math.min(fraction, 1));
    this.#report(stage, this.#fraction);
  }
}
