import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import type { TrainerLease } from '../../trainer/protocol.ts';
import { acquireLease } from '../../trainer/runs/lease.ts';
import { isLeaseLive, readLease } from '../../trainer/runs/leaseFile.ts';
import { identifyProcess } from '../../trainer/runs/processIdentity.ts';
import { removeLeftovers, runFiles } from '../../trainer/runs/runDirectory.ts';
import { skipBecause } from '../support/skip.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const leaseModule = JSON.stringify(new URL('../../trainer/runs/lease.ts', import.meta.url).href);
const options = { controlPipe: '/tmp/none.sock' };

describe('lease of a run', () => {
  let folder: string;
  let file: string;
  let children: ChildProcess[];

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'lease-'));
    file = path.join(folder, 'trainer.json');
    children = [];
  });

  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs a script that has `acquireLease`, the folder as `folder` and `tell(line)`. */
  function run(script: string): ChildProcess {
    const prelude = `
      const { acquireLease } = await import(${leaseModule});
      const folder = ${JSON.stringify(folder)};
      const tell = line => process.stdout.write(line + '\\n');
    `;
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', prelude + script],
      {
        cwd: repository,
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    children.push(child);
    return child;
  }

  async function line(child: ChildProcess): Promise<string> {
    let text = '';
    for await (const data of child.stdout!.iterator({ destroyOnReturn: false })) {
      text += String(data);
      if (text.endsWith('\n')) break;
    }
    return text.trim();
  }

  const write = (lease: Partial<TrainerLease>) =>
    writeFile(
      file,
      JSON.stringify({
        pid: 1,
        host: os.hostname(),
        processStart: null,
        started: 'then',
        controlPipe: 'x',
        ...lease,
      }),
    );

  it('is taken, seen, refused to others and given back', async () => {
    assert.equal(await readLease(folder), null);
    const lease = await acquireLease(folder, options);
    const found = (await readLease(folder))!;
    assert.deepEqual(found.lease, {
      pid: process.pid,
      host: os.hostname(),
      processStart: (await identifyProcess(process.pid))!.start,
      started: lease.started,
      controlPipe: options.controlPipe,
    });
    assert.equal(await isLeaseLive(found), true);
    assert.equal(await lease.isHeld(), true);
    await assert.rejects(acquireLease(folder, options), (error: unknown) => {
      assert.ok(error instanceof FileError);
      const expected = `${folder}: this run is being trained by process ${process.pid} on ${os.hostname()} since ${lease.started}. Stop that`;
      assert.ok(error.message.startsWith(expected), error.message);
      return true;
    });
    await lease.release();
    await lease.release();
    assert.deepEqual(await readdir(folder), []);
    await (await acquireLease(folder, options)).release();
  });

  it('is renewed by a touch', async () => {
    const lease = await acquireLease(folder, options);
    await utimes(file, 1000, 1000);
    lease.touch();
    assert.ok(Math.abs(Date.now() - (await stat(file)).mtimeMs) < 5000);
    await lease.release();
    lease.touch();
  });

  it('is not taken back from whoever has it now', async () => {
    const lease = await acquireLease(folder, options);
    await write({ pid: 1 });
    assert.equal(await lease.isHeld(), false);
    await lease.release();
    assert.equal((await readLease(folder))!.lease!.pid, 1);
  });

  it('of a killed trainer is taken over', async function () {
    this.timeout(10_000);
    const child = run(
      "await acquireLease(folder, { controlPipe: 'x' }); tell('held'); setInterval(() => {}, 1000);",
    );
    assert.equal(await line(child), 'held');
    await assert.rejects(acquireLease(folder, options), new RegExp(`process ${child.pid} on`));
    child.kill('SIGKILL');
    await once(child, 'close');
    const found = (await readLease(folder))!;
    assert.equal(found.lease!.pid, child.pid);
    assert.equal(await isLeaseLive(found), false);
    const lease = await acquireLease(folder, options);
    assert.equal((await readLease(folder))!.lease!.pid, process.pid);
    assert.deepEqual(await readdir(folder), ['trainer.json']);
    await lease.release();
  });

  it('of a process whose number was given to another is taken over', async function () {
    if (process.platform !== 'linux') skipBecause(this, 'only Linux reports when a process started');
    await write({ pid: process.pid, processStart: '1' });
    await (await acquireLease(folder, options)).release();
    await write({ pid: process.pid, processStart: (await identifyProcess(process.pid))!.start });
    await assert.rejects(acquireLease(folder, options), /being trained/);
  });

  it('of a process that only waits to be reaped is taken over', async function () {
    if (process.platform !== 'linux') skipBecause(this, 'only Linux reports when a process started');
    // The shell becomes a process that never reaps its child, which ended at once.
    const parent = spawn('sh', ['-c', 'sh -c "echo \\$\\$" & exec sleep 20'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(parent);
    const pid = Number(await line(parent));
    for (let wait = 0; wait < 100 && !/\) Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8')); wait++);
    assert.equal(await identifyProcess(pid), null);
    await write({ pid });
    await (await acquireLease(folder, options)).release();
  });

  it('of another machine lives as long as its heartbeat', async () => {
    await write({ pid: 1, host: 'elsewhere' });
    await assert.rejects(acquireLease(folder, options), /process 1 on elsewhere since then/);
    const old = Date.now() / 1000 - 61;
    await utimes(file, old, old);
    await (await acquireLease(folder, options)).release();
  });

  it('that cannot be understood is respected only while it may be in the making', async function () {
    this.timeout(10_000);
    for (const text of [
      '',
      '{"pid":"one"}',
      '{"pid":-1,"host":"x","started":"","controlPipe":"","processStart":null}',
    ]) {
      await writeFile(file, text);
      const found = (await readLease(folder))!;
      assert.deepEqual([found.lease, await isLeaseLive(found)], [null, true]);
    }
    await assert.rejects(acquireLease(folder, options), /another trainer is just starting/);
    const old = Date.now() / 1000 - 11;
    await utimes(file, old, old);
    await (await acquireLease(folder, options)).release();
  });

  it('names a folder that cannot be', async () => {
    await writeFile(path.join(folder, 'file'), '');
    await assert.rejects(acquireLease(path.join(folder, 'file', 'run'), options), (error: unknown) => {
      assert.ok(error instanceof FileError);
      assert.match(error.message, /cannot write: a part of the path is a file, not a folder/);
      return true;
    });
  });

  for (const [what, stale] of [
    ['a free run', false],
    ['the run of a dead trainer', true],
  ] as const) {
    it(`goes to exactly one of several processes that want ${what}`, async function () {
      this.timeout(60_000);
      // Each takes the run whenever it is told, and says whether it got it.
      const script = `
        process.stdin.on('data', async data => {
          if (String(data).includes('give')) { await globalThis.held?.release(); globalThis.held = undefined; return tell('gave'); }
          const start = Number(data);
          while (Date.now() < start);
          acquireLease(folder, { controlPipe: 'x' }).then(lease => { globalThis.held = lease; tell('won'); }, error => tell(error.name));
        });
        tell('ready');
      `;
      const racers = Array.from({ length: 4 }, () => run(script));
      for (const racer of racers) assert.equal(await line(racer), 'ready');
      for (let round = 0; round < 25; round++) {
        if (stale) await write({ pid: 2 ** 22 + 1, started: `round ${round}` });
        const start = Date.now() + 15;
        const answers = racers.map(line);
        for (const racer of racers) racer.stdin!.write(`${start}`);
        const outcome = await Promise.all(answers);
        assert.deepEqual(outcome.sort(), ['FileError', 'FileError', 'FileError', 'won']);
        assert.deepEqual(await readdir(folder), ['trainer.json']);
        const given = racers.map(line);
        for (const racer of racers) racer.stdin!.write('give');
        await Promise.all(given);
      }
    });
  }

  it('leaves no claim of one that was killed between taking over and clearing up', async () => {
    const claim = path.join(folder, `.trainer.json.takeover-${'0a1b'.repeat(6)}`);
    await writeFile(claim, 'a lease of long ago');
    await writeFile(path.join(folder, '.trainer.json.takeover-mine'), 'no claim');
    const lease = await acquireLease(folder, options);
    await removeLeftovers(runFiles(folder));
    assert.deepEqual((await readdir(folder)).sort(), ['.trainer.json.takeover-mine', 'trainer.json']);
    assert.equal(await lease.isHeld(), true);
    await lease.release();
  });

  it('passes on when a process died while it was taking it over', async () => {
    await write({ pid: 2 ** 22 + 1, started: 'the dead' });
    const stale = await readFile(file, 'utf8');
    const { createHash } = await import('node:crypto');
    const digest = createHash('sha256').update(stale).digest('hex').slice(0, 24);
    const claim = path.join(folder, `.trainer.json.takeover-${digest}`);
    await writeFile(claim, stale.replace('the dead', 'its dead heir'));
    const lease = await acquireLease(folder, options);
    assert.equal(await lease.isHeld(), true);
    assert.deepEqual(await readdir(folder), ['trainer.json']);
    await lease.release();
  });
});
