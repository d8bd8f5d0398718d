import type { Readable, Writable } from 'node:stream';
import {
  type CancellationToken,
  createMessageConnection,
  ErrorCodes,
  type MessageConnection,
  ParameterStructures,
  RequestType,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import { cancelledError, InspectError } from './inspectError.ts';
import type { InspectHandlers } from './inspector.ts';
import {
  type InspectErrorData,
  type InspectProgress,
  type InspectStage,
  inspectProgress,
  inspectRequests,
} from './protocol.ts';
import { RequestContext } from './requestContext.ts';
import { fieldsOf } from './requestParams.ts';

/** Why a service ended. */
export type ServiceEnd = 'idle' | 'closed';

/** These look at files only and need not wait for the engine. */
const unqueued: ReadonlySet<string> = new Set(['describe', 'crop', 'mapFile']);

/** Progress is told twice a second at most, a new stage at once: what draws it takes the cores from the forward pass. */
const progressIntervalMilliseconds = 500;

/** Serves requests one after the other until the other side closes, or nothing was asked for `idleTimeout` ms. */
export class InspectService {
  readonly #connection: MessageConnection;
  readonly #handlers: InspectHandlers;
  readonly #idleTimeout: number;
  readonly #ended: Promise<ServiceEnd>;
  #end!: (reason: ServiceEnd) => void;
  #last: Promise<unknown> = Promise.resolve();
  #open = 0;
  #closed = false;
  #idleTimer: NodeJS.Timeout | null = null;

  constructor(input: Readable, output: Writable, handlers: InspectHandlers, idleTimeout: number) {
    this.#handlers = handlers;
    // Timers count milliseconds in 31 bits.
    this.#idleTimeout = Math.min(idleTimeout, 2 ** 31 - 1);
    this.#ended = new Promise(resolve => {
      this.#end = resolve;
    });
    this.#connection = createMessageConnection(
      new StreamMessageReader(input),
      new StreamMessageWriter(output),
    );
    for (const name of Object.keys(handlers) as (keyof InspectHandlers)[])
      this.#connection.onRequest(requestType(name), (params, token) => this.#answer(name, params, token));
    // Whoever does not speak the protocol, or is gone, needs no service.
    this.#connection.onError(() => this.#close());
    this.#connection.onClose(() => this.#close());
    input.once('end', () => this.#close());
    input.once('close', () => this.#close());
  }

  /** Answers until the end; work in progress is given up and has stopped when this returns. */
  async run(): Promise<ServiceEnd> {
    this.#connection.listen();
    this.#restartIdleTimer();
    const reason = await this.#ended;
    if (this.#idleTimer) clearTimeout(this.#idleTimer);
    await this.#last;
    this.#connection.dispose();
    return reason;
  }

  #close(): void {
    this.#closed = true;
    this.#end('closed');
  }

  async #answer(name: keyof InspectHandlers, params: unknown, token: CancellationToken): Promise<unknown> {
    this.#open++;
    if (this.#idleTimer) clearTimeout(this.#idleTimer);
    const isClosed = (): boolean => this.#closed;
    const stop = {
      get isCancellationRequested() {
        return token.isCancellationRequested || isClosed();
      },
    };
    try {
      const fields = fieldsOf(params);
      const context = new RequestContext(stop, this.#reporter(fields.id));
      const work = (): Promise<unknown> => this.#handlers[name](fields, context);
      return await (unqueued.has(name) ? work() : this.#queue(work, context, token));
    } catch (error) {
      throw asAnswer(error);
    } finally {
      this.#open--;
      this.#restartIdleTimer();
    }
  }

  /**
   * Runs `work` behind what was asked for before. A cancellation is answered at once; work that has begun stops at
   * its next block, and only then does the next request begin.
   */
  #queue(work: () => Promise<unknown>, context: RequestContext, token: CancellationToken): Promise<unknown> {
    if (this.#open > 1) context.progress('waiting', 0);
    const turn = this.#last.then(() => {
      context.check();
      return work();
    });
    return new Promise((resolve, reject) => {
      const subscription = token.onCancellationRequested(() => reject(cancelledError()));
      this.#last = turn.then(resolve, reject).finally(() => subscription.dispose());
    });
  }

  #reporter(id: unknown): (stage: InspectStage, fraction: number) => void {
    if (typeof id !== 'number') return () => undefined;
    let [told, last]: [number, InspectStage | null] = [0, null];
    return (stage, fraction) => {
      const now = performance.now();
      if (stage === last && fraction < 1 && now - told < progressIntervalMilliseconds) return;
      [told, last] = [now, stage];
      const progress: InspectProgress = { id, stage, fraction };
      // The other side may have gone meanwhile; then the service ends anyway.
      this.#connection.sendNotification(inspectProgress, progress).catch(() => undefined);
    };
  }

  #restartIdleTimer(): void {
    if (this.#idleTimer) clearTimeout(this.#idleTimer);
    if (this.#open > 0 || this.#closed) return;
    this.#idleTimer = setTimeout(() => this.#end('idle'), this.#idleTimeout);
  }
}

/** Parameters by name only: others are refused before a handler sees them. */
const requestType = (name: keyof InspectHandlers): RequestType<unknown, unknown, InspectErrorData> =>
  new RequestType(inspectRequests[name], ParameterStructures.byName);

/** One line, whatever it came from. */
function asAnswer(error: unknown): ResponseError<InspectErrorData> {
  if (error instanceof InspectError) return new ResponseError(error.code, error.message, error.data);
  const message = (error instanceof Error ? error.message : String(error)).replace(/\s*[\r\n]+\s*/g, ' ');
  return new ResponseError(ErrorCodes.InternalError, message, {});
}
