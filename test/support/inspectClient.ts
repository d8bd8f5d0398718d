/** The bundled inspector service as a child process, and a connection to it. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import {
  type CancellationToken,
  createMessageConnection,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import {
  type InspectErrorData,
  type InspectProgress,
  type InspectRequestTypes,
  inspectErrors,
  inspectProgress,
  inspectRequests,
  type ModelReference,
} from '../../trainer/inspect/protocol.ts';
import { trainerProgram } from './trainingFixture.ts';

type RequestName = keyof InspectRequestTypes;

export interface InspectClient {
  child: ChildProcessWithoutNullStreams;
  request<Name extends RequestName>(
    name: Name,
    params: InspectRequestTypes[Name]['params'] & { id?: number },
    token?: CancellationToken,
  ): Promise<InspectRequestTypes[Name]['result']>;
  /** Told of every progress notification. */
  onProgress(listener: (progress: InspectProgress) => void): void;
  /** Exit status, and what it said on standard error. */
  ended: Promise<{ status: number | null; stderr: string }>;
  /** Closes its input and waits for its end. */
  close(): Promise<{ status: number | null; stderr: string }>;
}

const started = new Set<ChildProcessWithoutNullStreams>();

/** Ends the services that a failed test left running, which would keep the test runner waiting. */
export function endInspectServices(): void {
  for (const child of started) child.kill('SIGKILL');
}

export function startInspectService(cache: string, options: readonly string[] = []): InspectClient {
  const child = spawn(process.execPath, [
    trainerProgram,
    'inspect-service',
    '--cache',
    cache,
    '--threads',
    '1',
    ...options,
  ]);
  started.add(child);
  child.once('close', () => started.delete(child));
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  const ended = new Promise<{ status: number | null; stderr: string }>(resolve => {
    child.once('close', status => resolve({ status, stderr }));
  });
  const connection = createMessageConnection(
    new StreamMessageReader(child.stdout),
    new StreamMessageWriter(child.stdin),
  );
  const listeners: ((progress: InspectProgress) => void)[] = [];
  connection.onNotification(inspectProgress, (progress: InspectProgress) => {
    for (const listener of listeners) listener(progress);
  });
  connection.listen();
  return {
    child,
    request: (name, params, token) =>
      token
        ? connection.sendRequest(inspectRequests[name], params, token)
        : connection.sendRequest(inspectRequests[name], params),
    onProgress: listener => listeners.push(listener),
    ended,
    close() {
      child.stdin.end();
      return ended;
    },
  };
}

/** A model without step. */
export const modelAt = (
  path: string,
  step: number | null = null,
  blend: number | null = null,
): ModelReference => ({
  path,
  arch: null,
  step,
  blend,
});

/** What a request is refused with; throws when it is answered. */
export async function refusal(
  answer: Promise<unknown>,
): Promise<{ name: string; message: string; data: InspectErrorData }> {
  try {
    await answer;
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    const name = Object.entries(inspectErrors).find(([, code]) => code === error.code)?.[0];
    return { name: name ?? String(error.code), message: error.message, data: error.data as InspectErrorData };
  }
  throw new Error('the request was answered');
}
