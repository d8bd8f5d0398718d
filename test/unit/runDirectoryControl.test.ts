import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { TrainerStatus } from '../../trainer/protocol.ts';
import { ControlError, requestStatus, requestStop } from '../../trainer/runs/controlClient.ts';
import { controlPipePath } from '../../trainer/runs/controlPipe.ts';
import {
  type ControlHandlers,
  type ControlServer,
  startControlServer,
} from '../../trainer/runs/controlServer.ts';
import { skipBecause } from '../support/skip.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

describe('control pipe of a trainer', () => {
  let folder: string;
  let pipe: string;
  let server: ControlServer | undefined;
  let stops: number;
  const status: TrainerStatus = {
    directory: '/run',
    pid: process.pid,
    step: 3,
    totalSteps: 10,
    stopping: false,
  };
  const handlers: ControlHandlers = {
    status: () => ({ ...status, stopping: stops > 0 }),
    stop: () => ({ afterStep: status.step + stops++ }),
  };

  before(function () {
    if (process.platform === 'win32')
      skipBecause(this, 'named pipes of Windows have no files and no modes; the server is the same');
  });

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'control-'));
    pipe = path.join(folder, 'private', 'a.sock');
    stops = 0;
    server = undefined;
  });

  afterEach(async () => {
    await server?.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  const rejects = (work: Promise<unknown>, pattern: RegExp) =>
    assert.rejects(work, (error: unknown) => {
      assert.ok(error instanceof ControlError, `${String(error)} is not a ControlError`);
      assert.match(error.message, pattern);
      return true;
    });

  it('has a short path of its own for every run and process', () => {
    const deep = `/data/${'very/'.repeat(60)}deep`;
    const paths = [controlPipePath(deep), controlPipePath('/data/other'), controlPipePath(deep, 7)];
    assert.equal(new Set(paths).size, 3);
    for (const one of paths) assert.ok(Buffer.byteLength(one) < 100);
    assert.equal(controlPipePath('/data/x/../run'), controlPipePath('/data/run'));
    const before = process.env.TMPDIR;
    process.env.TMPDIR = `/tmp/${'x'.repeat(120)}`;
    try {
      assert.ok(Buffer.byteLength(controlPipePath(deep)) < 100);
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });

  it('answers several observers and goes away with its trainer', async () => {
    server = await startControlServer(pipe, handlers);
    assert.equal((await stat(path.dirname(pipe))).mode & 0o777, 0o700);
    const answers = await Promise.all([requestStatus(pipe), requestStatus(pipe)]);
    assert.deepEqual(answers, [status, status]);
    assert.deepEqual(await requestStop(pipe), { afterStep: 3 });
    assert.deepEqual(await requestStatus(pipe), { ...status, stopping: true });
    await server.dispose();
    server = undefined;
    await assert.rejects(stat(pipe), /ENOENT/);
    await rejects(requestStatus(pipe), /The trainer at .*a\.sock is not there \(any more\)/);
  });

  it('takes the place of a socket that a dead process left', async function () {
    this.timeout(10_000);
    await mkdir(path.dirname(pipe), { mode: 0o700 });
    const script = `require('net').createServer().listen(${JSON.stringify(pipe)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    assert.ok((await stat(pipe)).isSocket());
    await rejects(requestStatus(pipe), /is not there \(any more\)/);
    server = await startControlServer(pipe, handlers);
    assert.deepEqual(await requestStatus(pipe), status);
  });

  it('does not keep its process alive', function () {
    this.timeout(10_000);
    const module = JSON.stringify(new URL('../../trainer/runs/controlServer.ts', import.meta.url).href);
    const script = `const { startControlServer } = await import(${module}); await startControlServer(${JSON.stringify(pipe)}, {});`;
    const child = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: repository,
      timeout: 8000,
    });
    assert.equal(child.status, 0, child.stderr.toString());
  });

  it('refuses a folder that others could use', async () => {
    await mkdir(path.dirname(pipe));
    await chmod(path.dirname(pipe), 0o755);
    await assert.rejects(startControlServer(pipe, handlers), /not this user's private folder \(mode 0700\)/);
    await rm(path.dirname(pipe), { recursive: true });
    await mkdir(path.join(folder, 'target'), { mode: 0o700 });
    await symlink(path.join(folder, 'target'), path.dirname(pipe));
    await assert.rejects(startControlServer(pipe, handlers), /not this user's private folder/);
  });

  it('hangs up on who does not speak the protocol and goes on', async () => {
    server = await startControlServer(pipe, handlers);
    for (const text of [
      'GET / HTTP/1.1\r\n\r\n',
      'Content-Length: 5\r\n\r\n{"a"}',
      'Content-Length: 3\r\n\r\n{{{',
      '\u0000\u0001',
    ]) {
      const socket = createConnection(pipe);
      await once(socket, 'connect');
      socket.on('error', () => undefined);
      socket.end(text);
      await Promise.race([once(socket, 'close'), delay(300)]);
      socket.destroy();
      assert.deepEqual(await requestStatus(pipe), status);
    }
  });

  it('reports a trainer that fails, says nothing, hangs up or talks nonsense', async () => {
    server = await startControlServer(pipe, {
      status: () => ({ step: 'three' }) as unknown as TrainerStatus,
      stop: () => {
        throw new Error('too late');
      },
    });
    await rejects(requestStop(pipe), /failed to answer: .*too late/);
    await rejects(requestStatus(pipe), /does not understand/);
    const silent = createServer(socket => socket.on('error', () => undefined)).listen(
      path.join(folder, 'silent'),
    );
    await once(silent, 'listening');
    await rejects(requestStatus(path.join(folder, 'silent'), 100), /did not answer within 0\.1 s/);
    silent.close();
    const rude = createServer(socket => socket.destroy()).listen(path.join(folder, 'rude'));
    await once(rude, 'listening');
    await rejects(requestStatus(path.join(folder, 'rude'), 2000), /closed the connection|failed to answer/);
    rude.close();
    const liar = createServer(socket => socket.end('Content-Length: 4\r\n\r\n{{{{')).listen(
      path.join(folder, 'liar'),
    );
    await once(liar, 'listening');
    await rejects(requestStatus(path.join(folder, 'liar'), 2000), /closed the connection|failed to answer/);
    liar.close();
  });
});
