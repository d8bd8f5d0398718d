import type { VsCodeApi } from '../vscodeApi.ts';
import type {
  EvaluationMethod,
  EvaluationState,
  MessageFromEvaluation,
  QueryOf,
  RequestMessage,
  RequestProblem,
  RequestProgressMessage,
  ResponseMessage,
  ResultOf,
} from './protocol.ts';

/** Why the host could not do what was asked. */
export class EvaluationError extends Error {
  readonly problem: RequestProblem;

  constructor(problem: RequestProblem) {
    super(problem.message);
    this.problem = problem;
  }
}

interface OpenRequest {
  resolve: (result: ResponseMessage['result']) => void;
  reject: (error: EvaluationError) => void;
  progress: ((stage: string, fraction: number) => void) | undefined;
}

/** What a change of the state may wait before the host is told, in milliseconds. */
const STATE_DELAY = 150;

/** The panel's side of the conversation: requests with answers, and the stored state. */
export class EvaluationHost {
  readonly #api: VsCodeApi<MessageFromEvaluation, EvaluationState>;
  readonly #open = new Map<number, OpenRequest>();
  #nextId = 1;
  #stateTimer: ReturnType<typeof setTimeout> | null = null;

  constructor(api: VsCodeApi<MessageFromEvaluation, EvaluationState>) {
    this.#api = api;
  }

  post(message: MessageFromEvaluation): void {
    this.#api.postMessage(message);
  }

  /** Asks; aborting the signal gives the request up and rejects with an error of kind `cancelled`. */
  request<Method extends EvaluationMethod>(
    method: Method,
    query: QueryOf<Method>,
    options: { signal?: AbortSignal; progress?: (stage: string, fraction: number) => void } = {},
  ): Promise<ResultOf<Method>> {
    const id = this.#nextId++;
    const { signal, progress } = options;
    const answer = new Promise<ResponseMessage['result']>((resolve, reject) => {
      if (signal?.aborted) {
        reject(cancelled());
        return;
      }
      this.#open.set(id, { resolve, reject, progress });
      signal?.addEventListener('abort', () => this.#giveUp(id), { once: true });
      this.post({ kind: 'request', id, method, query } as RequestMessage);
    });
    return answer as Promise<ResultOf<Method>>;
  }

  receiveResponse({ id, result, problem }: ResponseMessage): void {
    const request = this.#open.get(id);
    if (request === undefined) return;
    this.#open.delete(id);
    if (problem === null) request.resolve(result);
    else request.reject(new EvaluationError(problem));
  }

  receiveProgress({ id, stage, fraction }: RequestProgressMessage): void {
    this.#open.get(id)?.progress?.(stage, fraction);
  }

  /** Stores the state at once and tells the host a little later, once for many changes. */
  remember(state: EvaluationState): void {
    this.#api.setState(state);
    if (this.#stateTimer !== null) clearTimeout(this.#stateTimer);
    this.#stateTimer = setTimeout(() => {
      this.#stateTimer = null;
      this.post({ kind: 'stateChanged', state });
    }, STATE_DELAY);
  }

  #giveUp(id: number): void {
    const request = this.#open.get(id);
    if (request === undefined) return;
    this.#open.delete(id);
    this.post({ kind: 'cancel', id });
    request.reject(cancelled());
  }
}

function cancelled(): EvaluationError {
  return new EvaluationError({ kind: 'cancelled', message: 'Cancelled.' });
}

/** The problem that an error names; errors of the panel itself become `other`. */
export function problemOf(error: unknown): RequestProblem {
  if (error instanceof EvaluationError) return error.problem;
  return { kind: 'other', message: error instanceof Error ? error.message : String(error) };
}
