import type { VsCodeApi } from '../vscodeApi.ts';
import type {
  MessageFromInspector,
  RequestMessage,
  RequestProgressMessage,
  ResponseMessage,
} from './protocol/messages.ts';
import type { InspectorMethod, InspectorProblem, QueryOf, ResultOf } from './protocol/requests.ts';
import type { InspectorState } from './protocol/state.ts';

/** Why the host could not do what was asked. */
export class InspectorError extends Error {
  readonly problem: InspectorProblem;

  constructor(problem: InspectorProblem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** How far a request is; `fraction` 0 … 1, null while unknown. */
export type ProgressListener = (stage: string, fraction: number | null) => void;

interface OpenRequest {
  resolve: (result: ResponseMessage['result']) => void;
  reject: (error: InspectorError) => void;
  progress: ProgressListener | undefined;
}

/** What a change of the settings may wait before the host is told, in milliseconds. */
const STATE_DELAY = 300;

/** The panel's side of the conversation: requests with answers, and the stored state. */
export class InspectorHost {
  readonly #api: VsCodeApi<MessageFromInspector, InspectorState>;
  readonly #open = new Map<number, OpenRequest>();
  #nextId = 1;
  #stateTimer: ReturnType<typeof setTimeout> | null = null;

  constructor(api: VsCodeApi<MessageFromInspector, InspectorState>) {
    this.#api = api;
  }

  post(message: MessageFromInspector): void {
    this.#api.postMessage(message);
  }

  /** Asks; aborting the signal gives the request up and rejects with an error of kind `cancelled`. */
  request<Method extends InspectorMethod>(
    method: Method,
    query: QueryOf<Method>,
    options: { signal?: AbortSignal; progress?: ProgressListener } = {},
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
    else request.reject(new InspectorError(problem));
  }

  receiveProgress({ id, stage, fraction }: RequestProgressMessage): void {
    this.#open.get(id)?.progress?.(stage, fraction);
  }

  /** Stores the state at once and tells the host a little later, once for many changes. */
  remember(state: InspectorState): void {
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

function cancelled(): InspectorError {
  return new InspectorError({ kind: 'cancelled', message: 'Cancelled.' });
}

/** The problem that an error names; errors of the panel itself become `other`. */
export function problemOf(error: unknown): InspectorProblem {
  if (error instanceof InspectorError) return error.problem;
  return { kind: 'other', message: error instanceof Error ? error.message : String(error) };
}
