import type { VsCodeApi } from './vscodeApi.ts';

/** What a panel may ask of the extension: query and result of each method. */
export type RequestTypes<Types> = { [Method in keyof Types]: { query: unknown; result: unknown } };

/** Why something that was asked for could not be done. */
export interface PanelProblem {
  kind: string;
  message: string;
}

/** Why the host could not do what was asked. */
export class PanelRequestError<Problem extends PanelProblem> extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** How far a request is; `fraction` 0 … 1, null while unknown. */
export type ProgressListener = (stage: string, fraction: number | null) => void;

/** The answer to a request, and what is said of it before. */
export interface PanelResponse {
  kind: 'response';
  id: number;
  result: unknown;
  problem: PanelProblem | null;
}

export interface PanelProgress {
  kind: 'progress';
  id: number;
  stage: string;
  fraction: number | null;
}

interface OpenRequest {
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
  progress: ProgressListener | undefined;
}

/**
 * A panel's side of the conversation: requests with answers, and the stored state. Messages are those of the panel's
 * own protocol, which has `request`, `cancel` and `stateChanged`, and is answered by `response` and `progress`.
 */
export class PanelHost<Types extends RequestTypes<Types>, Message, State> {
  readonly #api: VsCodeApi<Message, State>;
  readonly #open = new Map<number, OpenRequest>();
  readonly #stateDelay: number;
  #nextId = 1;
  #stateTimer: ReturnType<typeof setTimeout> | null = null;

  /** @param stateDelay What a change of the state may wait before the host is told, in milliseconds. */
  constructor(api: VsCodeApi<Message, State>, stateDelay: number) {
    this.#api = api;
    this.#stateDelay = stateDelay;
  }

  post(message: Message): void {
    this.#api.postMessage(message);
  }

  /** Asks; aborting the signal gives the request up and rejects with an error of kind `cancelled`. */
  request<Method extends keyof Types>(
    method: Method,
    query: Types[Method]['query'],
    options: { signal?: AbortSignal; progress?: ProgressListener } = {},
  ): Promise<Types[Method]['result']> {
    const id = this.#nextId++;
    const { signal, progress } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(cancelled());
        return;
      }
      this.#open.set(id, { resolve, reject, progress });
      signal?.addEventListener('abort', () => this.#giveUp(id), { once: true });
      this.post({ kind: 'request', id, method, query } as Message);
    });
  }

  receiveResponse({ id, result, problem }: PanelResponse): void {
    const request = this.#open.get(id);
    if (request === undefined) return;
    this.#open.delete(id);
    if (problem === null) request.resolve(result);
    else request.reject(new PanelRequestError(problem));
  }

  receiveProgress({ id, stage, fraction }: PanelProgress): void {
    this.#open.get(id)?.progress?.(stage, fraction);
  }

  /** Stores the state at once and tells the host a little later, once for many changes. */
  remember(state: State): void {
    this.#api.setState(state);
    if (this.#stateTimer !== null) clearTimeout(this.#stateTimer);
    this.#stateTimer = setTimeout(() => {
      this.#stateTimer = null;
      this.post({ kind: 'stateChanged', state } as Message);
    }, this.#stateDelay);
  }

  #giveUp(id: number): void {
    const request = this.#open.get(id);
    if (request === undefined) return;
    this.#open.delete(id);
    this.post({ kind: 'cancel', id } as Message);
    request.reject(cancelled());
  }
}

function cancelled(): PanelRequestError<PanelProblem> {
  return new PanelRequestError({ kind: 'cancelled', message: 'Cancelled.' });
}

/** The problem that an error names; errors of the panel itself become `other`. */
export function problemOf<Problem extends PanelProblem>(error: unknown): Problem {
  if (error instanceof PanelRequestError) return error.problem as Problem;
  return { kind: 'other', message: error instanceof Error ? error.message : String(error) } as Problem;
}
