import { createConnection, type Socket } from 'node:net';
import { createMessageConnection, SocketMessageReader, SocketMessageWriter } from 'vscode-jsonrpc/node';
import { systemErrorCode } from '../checkpoints/fileError.ts';
import { isJsonObject } from '../checkpoints/jsonFile.ts';
import { controlRequests, type StopResult, type TrainerStatus } from '../protocol.ts';

/** A live trainer answers between two steps of its event loop; one that takes longer is busy or gone. */
const standardTimeout = 3_000;

/** A trainer could not be reached, or did not answer as one. */
export class ControlError extends Error {
  readonly pipe: string;

  constructor(pipe: string, reason: string, options?: ErrorOptions) {
    super(`The trainer at ${pipe} ${reason}`, options);
    this.name = 'ControlError';
    this.pipe = pipe;
  }
}

function explain(error: unknown, pipe: string): ControlError {
  if (error instanceof ControlError) return error;
  const code = systemErrorCode(error);
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    return new ControlError(pipe, 'is not there (any more). Its log says why, if it failed', {
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new ControlError(pipe, 'belongs to another user. Ask its owner, or sign in as that user', {
      cause: error,
    });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new ControlError(pipe, `failed to answer: ${reason}`, { cause: error });
}

/** Settles as `work` does, but rejects after `milliseconds` or when the socket fails or closes first. */
function before<T>(work: Promise<T>, socket: Socket, pipe: string, milliseconds: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(
        new ControlError(pipe, `did not answer within ${milliseconds / 1000} s. It may be busy; try again`),
      );
    }, milliseconds);
    socket.once('error', reject);
    socket.once('close', () => reject(new ControlError(pipe, 'closed the connection without an answer')));
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

async function request(pipe: string, method: string, milliseconds: number): Promise<unknown> {
  const socket = createConnection(pipe);
  const connection = createMessageConnection(
    new SocketMessageReader(socket),
    new SocketMessageWriter(socket),
  );
  // Failures of the socket and of the protocol reach the caller below.
  connection.onError(([error]) => socket.destroy(error));
  connection.listen();
  try {
    return await before(connection.sendRequest(method), socket, pipe, milliseconds);
  } catch (error) {
    throw explain(error, pipe);
  } finally {
    connection.dispose();
    socket.destroy();
  }
}

/**
 * Asks a trainer to finish the step in progress, save and exit.
 *
 * @throws ControlError when it cannot be reached or does not answer in time.
 */
export async function requestStop(pipe: string, timeout: number = standardTimeout): Promise<StopResult> {
  const result = await request(pipe, controlRequests.stop, timeout);
  if (!isJsonObject(result) || typeof result.afterStep !== 'number') {
    throw new ControlError(pipe, 'gave an answer that this version does not understand');
  }
  return { afterStep: result.afterStep };
}

/**
 * Asks a trainer where it stands.
 *
 * @throws ControlError when it cannot be reached or does not answer in time.
 */
export async function requestStatus(pipe: string, timeout: number = standardTimeout): Promise<TrainerStatus> {
  const result = await request(pipe, controlRequests.status, timeout);
  const understood =
    isJsonObject(result) &&
    typeof result.directory === 'string' &&
    typeof result.pid === 'number' &&
    typeof result.step === 'number' &&
    typeof result.totalSteps === 'number' &&
    typeof result.stopping === 'boolean';
  if (!understood) throw new ControlError(pipe, 'gave an answer that this version does not understand');
  const { directory, pid, step, totalSteps, stopping } = result as unknown as TrainerStatus;
  return { directory, pid, step, totalSteps, stopping };
}
