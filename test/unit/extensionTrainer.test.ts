import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type StopEnvironment, stopRun, thisMachine } from '../../extension/stopRun.ts';
import {
  clearLine,
  provideEngineVariables,
  StartCancelledError,
  startTrainer,
  trainerEnvironment,
} from '../../extension/trainerProcess.ts';
import { ControlError } from '../../trainer/runs/controlClient.ts';
import { controlPipePath } from '../../trainer/runs/controlPipe.ts';
import { startControlServer } from '../../trainer/runs/controlServer.ts';
import { acquireLease } from '../../trainer/runs/lease.ts';
import type { FoundLease } from '../../trainer/runs/leaseFile.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'clipself-trainer-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('starting a trainer', () => {
  const directory = () => path.join(folder, 'run');

  /** Starts a Node script in the place of the command line. */
  async function start(code: string, signal?: AbortSignal): Promise<void> {
    const script = path.join(folder, 'cli.cjs');
    await writeFile(script, code);
    const outputFile = path.join(folder, 'output', 'run.txt');
    await startTrainer(
      { executable: process.execPath, script, args: [directory()], directory: directory(), outputFile },
      signal,
    );
  }

  it('tells the one clear line of a trainer that refuses', async () => {
    await assert.rejects(
      start(
        "console.error('reading'); console.error('clipself: /m: no such file. Check the path'); process.exit(1)",
      ),
      { name: 'TrainerStartError', message: '/m: no such file. Check the path' },
    );
    await assert.rejects(start('process.exit(2)'), /status 2 and said nothing/);
    await assert.rejects(start("process.kill(process.pid, 'SIGKILL')"), /ended by SIGKILL/);
  });

  it('is done when the trainer holds the run and has written a record, or has finished', async () => {
    const writeRun = `
      const fs = require('node:fs'), path = require('node:path');
      const directory = process.argv[2];
      fs.mkdirSync(directory);
      const lease = { pid: process.pid, host: 'h', processStart: null, started: '', controlPipe: '' };
      fs.writeFileSync(path.join(directory, 'trainer.json'), JSON.stringify(lease));
      setTimeout(() => fs.writeFileSync(path.join(directory, 'metrics.jsonl'), '{}\\n'), 50);
      setTimeout(() => process.exit(1), 1500);`;
    await start(writeRun);
    await start('process.exit(0)');
  });

  it('can be given up', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 100);
    await assert.rejects(start('setTimeout(() => {}, 60_000)', controller.signal), StartCancelledError);
  });

  it('says when the executable is missing', async () => {
    const launch = {
      script: '/none',
      args: [],
      directory: directory(),
      outputFile: path.join(folder, 'o.txt'),
    };
    await assert.rejects(startTrainer({ ...launch, executable: '/no/such/node' }), /could not be started/);
  });

  it('hides from the trainer what VS Code sets for its own processes', () => {
    const environment = {
      PATH: '/bin',
      VSCODE_IPC_HOOK: 'x',
      ELECTRON_NO_ASAR: '1',
      NODE_OPTIONS: '--inspect',
    };
    assert.deepEqual(trainerEnvironment(environment), { PATH: '/bin', ELECTRON_RUN_AS_NODE: '1' });
  });

  it('tells the trainer of its engines, unless the environment says otherwise', () => {
    const provided = { CLIPSELF_TENSORFLOW: '/here', CLIPSELF_TENSORFLOW_TF32: '1' };
    provideEngineVariables(() => provided);
    try {
      assert.deepEqual(trainerEnvironment({}), { ...provided, ELECTRON_RUN_AS_NODE: '1' });
      const own = trainerEnvironment({ CLIPSELF_TENSORFLOW: '/mine' });
      assert.equal(own.CLIPSELF_TENSORFLOW, '/mine');
    } finally {
      provideEngineVariables(() => ({}));
    }
  });

  it('finds the clear line among other output', () => {
    assert.equal(clearLine('step 1\nclipself: broken\n\n    at foo (a.js:1)\n\nNode.js v20.1.0\n'), 'broken');
    assert.equal(clearLine(' \n'), null);
  });
});

describe('stopping a run', () => {
  it('asks the trainer over its control pipe', async () => {
    const pipe = controlPipePath(folder);
    const lease = await acquireLease(folder, { controlPipe: pipe });
    let asked = 0;
    const status = () => ({
      directory: folder,
      pid: process.pid,
      step: 6,
      totalSteps: 9,
      stopping: asked > 0,
    });
    const server = await startControlServer(pipe, {
      status,
      stop: () => {
        asked++;
        return { afterStep: 7 };
      },
    });
    try {
      assert.deepEqual(await stopRun(folder), { kind: 'agreed', afterStep: 7 });
      assert.equal(asked, 1);
    } finally {
      await server.dispose();
      await lease.release();
    }
    assert.deepEqual(await stopRun(folder), { kind: 'notRunning' });
  });

  const found: FoundLease = {
    lease: { pid: 4242, host: 'here', processStart: '1', started: '', controlPipe: '/p' },
    heartbeat: 0,
    text: '',
  };
  const gone = new ControlError('/p', 'is not there', {
    cause: Object.assign(new Error('x'), { code: 'ENOENT' }),
  });

  function world(changes: Partial<StopEnvironment>): { world: StopEnvironment; terminated: number[] } {
    const terminated: number[] = [];
    const base: StopEnvironment = {
      ...thisMachine,
      readLease: async () => found,
      isLeaseLive: async () => true,
      requestStop: () => Promise.reject(gone),
      terminate: pid => void terminated.push(pid),
      hostname: 'here',
      platform: 'linux',
    };
    return { world: { ...base, ...changes }, terminated };
  }

  it('falls back to SIGTERM when the pipe is gone and the trainer lives', async () => {
    const { world: here, terminated } = world({});
    assert.deepEqual(await stopRun('/r', here), { kind: 'signalled' });
    assert.deepEqual(terminated, [4242]);
  });

  it('does not signal a trainer that is slow, elsewhere, dead, or on Windows', async () => {
    const slow = world({ requestStop: () => Promise.reject(new ControlError('/p', 'did not answer')) });
    await assert.rejects(stopRun('/r', slow.world), /did not answer/);
    const elsewhere = world({ hostname: 'other' });
    await assert.rejects(stopRun('/r', elsewhere.world), /trained on here/);
    const dead = world({ isLeaseLive: async () => false });
    assert.deepEqual(await stopRun('/r', dead.world), { kind: 'notRunning' });
    const windows = world({ platform: 'win32' });
    await assert.rejects(stopRun('/r', windows.world), /Task Manager/);
    for (const { terminated } of [slow, elsewhere, dead, windows]) assert.deepEqual(terminated, []);
  });
});
