import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { createMessageConnection, SocketMessageReader, SocketMessageWriter } from 'vscode-jsonrpc/node';
import { asFileError } from '../checkpoints/fileError.ts';
import { controlRequests, type StopResult, type TrainerStatus } from '../protocol.ts';
import { preparePipeFolder, removeDeadPipes } from './controlPipe.ts';

/** What a trainer does when it is asked. */
export interface ControlHandlers {
  stop(): StopResult;
  status(): TrainerStatus;
}

export interface ControlServer {
  /** Closes all connections and removes the pipe. */
  dispose(): Promise<void>;
}

/** More observers than anybody has; it bounds what a broken one can hold open. */
const mostConnections = 32;

function serve(socket: Socket, handlers: ControlHandlers): void {
  const connection = createMessageConnection(
    new SocketMessageReader(socket),
    new SocketMessageWriter(socket),
  );
  connection.onRequest(controlRequests.stop, () => handlers.stop());
  connection.onRequest(controlRequests.status, () => handlers.status());
  // Whoever does not speak the protocol is hung up on; the trainer goes on.
  connection.onError(() => socket.destroy());
  connection.onClose(() => connection.dispose());
  socket.on('error', () => socket.destroy());
  connection.listen();
}

function listen(server: Server, pipe: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(pipe, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/**
 * Answers stop and status requests on a control pipe. Does not keep the process alive.
 *
 * @param pipe From `controlPipePath`; its holder owns the run's lease, so a socket left there by a dead process goes.
 * @throws FileError when the pipe cannot be created.
 */
export async function startControlServer(pipe: string, handlers: ControlHandlers): Promise<ControlServer> {
  await preparePipeFolder(pipe);
  await removeDeadPipes(pipe);
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.unref();
    socket.once('close', () => sockets.delete(socket));
    serve(socket, handlers);
  });
  server.maxConnections = mostConnections;
  try {
    await listen(server, pipe);
  } catch (error) {
    throw asFileError(error, pipe, 'write');
  }
  // A connection that fails to be accepted is the caller's problem, not the trainer's.
  server.on('error', () => undefined);
  server.unref();
  return {
    async dispose() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>(resolve => server.close(() => resolve()));
      if (process.platform !== 'win32') await rm(pipe, { force: true });
    },
  };
}
