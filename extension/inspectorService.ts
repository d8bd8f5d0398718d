import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import {
  CancellationTokenSource,
  createMessageConnection,
  type MessageConnection,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import {
  type InspectProgress,
  type InspectRequestTypes,
  inspectProgress,
  inspectRequests,
} from '../trainer/inspect/protocol.ts';
import type { Disposable } from './emitter.ts';
import { InspectorError, problemOfResponse } from './inspectorProblems.ts';
import { clearLine, trainerEnvironment } from './trainerProcess.ts';

export type InspectRequestName = keyof InspectRequestTypes;
export type ParamsOf<Name extends InspectRequestName> = InspectRequestTypes[Name]['params'];
export type ServiceResultOf<Name extends InspectRequestName> = InspectRequestTypes[Name]['result'];

export interface ServiceRequestOptions {
  /** Aborting cancels the request in the service. */
  signal?: AbortSignal;
  progress?: (progress: InspectProgress) => void;
}

/** How the service is started. */
export interface ServiceLaunch {
  /** Node, or VS Code's own executable, which behaves as Node under `ELECTRON_RUN_AS_NODE`. */
  executable: string;
  /** Absolute path of the command line's script. */
  script: string;
  /** Arguments of the command line; asked for at each start, because settings change. */
  args(): string[];
  /** What the service prints to stderr, and what happens to it, line by line. */
  log(level: 'info' | 'warn', line: string): void;
}

interface RunningService {
  child: ChildProcessByStdio<Writable, Readable, Readable>;
  connection: MessageConnection;
  /** Resolves with a sentence on how the process ended; never rejects. */
  ended: Promise<string>;
}

/** The service ended while a request was waiting for its answer. */
class ServiceEndedError extends Error {}

/** Milliseconds between asking the service to end and ending it. */
const GRACE = 2000;
/** Only the end of what the service printed is kept for the reason of a crash. */
const KEPT_OUTPUT = 4000;

/**
 * The process that computes feature maps: started when first asked, asked over its stdio, ended with the extension. It
 * ends by itself when idle and may crash; the next request starts another, and a request that was waiting is sent once
 * more.
 */
export class InspectorService implements Disposable {
  readonly #launch: ServiceLaunch;
  readonly #progress = new Map<number, (progress: InspectProgress) => void>();
  #running: RunningService | null = null;
  #nextId = 1;
  #yielding = false;
  #disposed = false;

  constructor(launch: ServiceLaunch) {
    this.#launch = launch;
  }

  /** Process id of the service; null while none runs. */
  get pid(): number | null {
    return this.#running?.child.pid ?? null;
  }

  /**
   * Asks the service.
   *
   * @throws InspectorError with a sentence for the user.
   */
  async request<Name extends InspectRequestName>(
    name: Name,
    params: ParamsOf<Name>,
    options: ServiceRequestOptions = {},
  ): Promise<ServiceResultOf<Name>> {
    try {
      return await this.#send(name, params, options);
    } catch (error) {
      if (!(error instanceof ServiceEndedError)) throw error;
      if (this.#disposed || options.signal?.aborted === true) {
        throw new InspectorError('cancelled', 'The request was given up.');
      }
      this.#launch.log('warn', `${error.message} It is started once more.`);
    }
    try {
      return await this.#send(name, params, options);
    } catch (error) {
      if (!(error instanceof ServiceEndedError)) throw error;
      const advice = 'Ask again to start another; the log has its last words.';
      throw new InspectorError('service', `${error.message} This was the second time. ${advice}`);
    }
  }

  /**
   * Whether a training run is at work: then the service takes the processor only when nobody else wants it. Taking that
   * back needs rights that users rarely have; where it fails the service stays modest until it is next started.
   */
  yieldToTraining(yielding: boolean): void {
    if (yielding === this.#yielding) return;
    this.#yielding = yielding;
    this.#setPriority();
  }

  async #send<Name extends InspectRequestName>(
    name: Name,
    params: ParamsOf<Name>,
    { signal, progress }: ServiceRequestOptions,
  ): Promise<ServiceResultOf<Name>> {
    if (this.#disposed) throw new InspectorError('service', 'The inspector service has ended.');
    const running = this.#running ?? this.#start();
    const id = this.#nextId++;
    if (progress !== undefined) this.#progress.set(id, progress);
    const cancellation = new CancellationTokenSource();
    const cancel = () => cancellation.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted === true) cancel();
    try {
      const answer = running.connection.sendRequest(
        inspectRequests[name],
        { ...params, id },
        cancellation.token,
      );
      const ended = running.ended.then(reason => {
        throw new ServiceEndedError(reason);
      });
      return (await Promise.race([answer, ended])) as ServiceResultOf<Name>;
    } catch (error) {
      throw await this.#explain(error, running);
    } finally {
      signal?.removeEventListener('abort', cancel);
      this.#progress.delete(id);
      cancellation.dispose();
    }
  }

  /** The service's own answer is told as it is; a broken connection means that the process ended or is about to. */
  async #explain(error: unknown, running: RunningService): Promise<Error> {
    if (error instanceof ServiceEndedError || error instanceof InspectorError) return error;
    const problem = error instanceof ResponseError ? problemOfResponse(error) : null;
    if (problem !== null) return problem;
    running.child.kill('SIGKILL');
    return new ServiceEndedError(await running.ended);
  }

  #start(): RunningService {
    const { executable, script, args, log } = this.#launch;
    const child = spawn(executable, [script, ...args()], {
      windowsHide: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: path.dirname(script),
      env: trainerEnvironment(process.env),
    });
    // Writing to a process that is just ending is told by its end.
    child.stdin.on('error', () => undefined);
    const connection = createMessageConnection(
      new StreamMessageReader(child.stdout),
      new StreamMessageWriter(child.stdin),
    );
    connection.onError(() => undefined);
    connection.onNotification(inspectProgress, (progress: InspectProgress) =>
      this.#progress.get(progress.id)?.(progress),
    );
    connection.listen();
    const lastWords = followLines(child.stderr, line => log('info', `[inspector] ${line}`));
    const ended = endOf(child).then(how => {
      if (this.#running?.child === child) this.#running = null;
      connection.dispose();
      const line = clearLine(lastWords());
      return `The inspector service ${how}${line === null ? '' : ` (${line})`}.`;
    });
    this.#running = { child, connection, ended };
    if (this.#yielding) this.#setPriority();
    return this.#running;
  }

  #setPriority(): void {
    const pid = this.pid;
    if (pid === null) return;
    const { PRIORITY_LOW, PRIORITY_NORMAL } = constants.priority;
    try {
      setPriority(pid, this.#yielding ? PRIORITY_LOW : PRIORITY_NORMAL);
    } catch {
      // Not permitted here, or the process has just ended.
    }
  }

  /** Ends the service; a later request starts another. */
  stop(): void {
    const running = this.#running;
    this.#running = null;
    if (running === null) return;
    running.child.stdin.end();
    running.child.kill('SIGTERM');
    const timer = setTimeout(() => running.child.kill('SIGKILL'), GRACE);
    timer.unref();
    void running.ended.then(() => clearTimeout(timer));
  }

  dispose(): void {
    this.#disposed = true;
    this.stop();
  }
}

/** How the process ended, in words: "ended with status 1", "was ended by SIGKILL", … */
function endOf(child: ChildProcessByStdio<Writable, Readable, Readable>): Promise<string> {
  return new Promise(resolve => {
    child.once('error', error => resolve(`could not be started: ${error.message}`));
    // `close` comes when its output was read to the end, too.
    child.once('close', (status, signal) =>
      resolve(signal === null ? `ended with status ${status}` : `was ended by ${signal}`),
    );
  });
}

/** Passes lines on and keeps the last of the text. */
function followLines(stream: Readable, tell: (line: string) => void): () => string {
  let partial = '';
  let kept = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    kept = (kept + text).slice(-KEPT_OUTPUT);
    const lines = (partial + text).split(/\r?\n/);
    partial = lines.pop()!.slice(-KEPT_OUTPUT);
    for (const line of lines) if (line !== '') tell(line);
  });
  return () => kept;
}
