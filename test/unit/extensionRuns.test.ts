import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setImmediate as immediately } from 'node:timers/promises';
import { LogTail, levelOfLine, messageOfLine } from '../../extension/logLines.ts';
import { RunFollower } from '../../extension/runFollower.ts';
import { RunLogs } from '../../extension/runLogs.ts';
import { RunRegistry, type RunTransition } from '../../extension/runRegistry.ts';
import { SerialTask } from '../../extension/serialTask.ts';
import { thinSteps } from '../../extension/thinning.ts';
import { pretrainDefaults } from '../../trainer/pretrain/settings.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { configuration, eventRecord, stepRecord, TestRun } from '../support/runDirectories.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'clipself-extension-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the follower of a run', () => {
  it('reads each record once and says when a resume rewrote the history', async () => {
    const run = await TestRun.create(path.join(folder, 'a'));
    run.write(eventRecord('started', 0), stepRecord(1, 0.9), stepRecord(2, 0.8));
    const follower = new RunFollower(run.directory);
    const first = await follower.update();
    assert.equal(first.records.length, 3);
    assert.equal(first.summary.state, 'interrupted');
    run.write(stepRecord(3, 0.7));
    assert.deepEqual(
      (await follower.update()).records.map(record => 'step' in record && record.step),
      [3],
    );
    run.write(eventRecord('resumed', 1), stepRecord(2, 0.85));
    const resumed = await follower.update();
    assert.equal(resumed.historyRewritten, true);
    assert.deepEqual(
      follower.history.steps.map(({ loss }) => loss),
      [0.9, 0.85],
    );
    await run.remove();
    await assert.rejects(follower.update(), /config\.json/);
  });

  it('speaks of settings where the trainer speaks of flags', async () => {
    const run = await TestRun.create(path.join(folder, 'failed'));
    const message = '/i: out of memory. Lower --batch or --size in a new run';
    run.write(stepRecord(1, 0.9), { event: { kind: 'failed', step: 1, time: 2, message } });
    const { records, summary } = await new RunFollower(run.directory).update();
    const said = '/i: out of memory. Lower clipself.training.batch or clipself.training.size in a new run';
    assert.equal(summary.message, said);
    assert.deepEqual(records.at(-1), { event: { kind: 'failed', step: 1, time: 2, message: said } });
    await run.remove();
  });

  it('speaks of a terminal where only that starts such a run', async () => {
    const run = await TestRun.create(path.join(folder, 'pretrained'));
    const pretraining = { ...configuration, task: 'pretrain', settings: pretrainDefaults };
    await writeFile(runFiles(run.directory).configuration, JSON.stringify(pretraining));
    const message =
      "the gradient became Infinity. Lower the learning rate (--lr), see 'clipself pretrain --help'";
    run.write(stepRecord(1, 0.9), { event: { kind: 'failed', step: 1, time: 2, message } });
    const said = message.replace('--lr', '--lr (in a terminal)');
    assert.equal((await new RunFollower(run.directory).update()).summary.message, said);
    await run.remove();
  });
});

describe('the registry of runs', () => {
  let registry: RunRegistry;

  beforeEach(() => {
    registry = new RunRegistry();
  });

  afterEach(() => registry.dispose());

  it('tells of a resume whenever it is written, also between its two looks at the metrics', async () => {
    for (let moment = 0; moment < 60; moment++) {
      const run = await TestRun.create(path.join(folder, `moment-${moment}`));
      run.write(stepRecord(1, 0.9), stepRecord(2, 0.8));
      const follower = new RunFollower(run.directory);
      await follower.update();
      const looking = follower.update();
      for (let turn = 0; turn < moment; turn++) await immediately();
      run.write(eventRecord('resumed', 1));
      const told = [await looking, await follower.update()];
      assert.ok(
        told.some(({ historyRewritten }) => historyRewritten),
        `a resume after ${moment} turns`,
      );
      await run.remove();
    }
  });

  it('finds runs in its folders and those registered, live ones first', async () => {
    const runs = path.join(folder, 'runs');
    const old = await TestRun.create(path.join(runs, 'old'));
    old.write(eventRecord('started', 0), stepRecord(1, 0.9, Date.now() - 10_000), eventRecord('finished', 1));
    const live = await TestRun.create(path.join(runs, 'live'));
    await live.takeLease();
    live.write(eventRecord('started', 0), stepRecord(1, 0.5));
    const elsewhere = await TestRun.create(path.join(folder, 'elsewhere'));
    elsewhere.write(eventRecord('started', 0), eventRecord('stopped', 0));
    registry.watch([runs, path.join(folder, 'missing')]);
    const registered = await registry.register(elsewhere.directory);
    assert.equal(registered?.state, 'stopped');
    assert.deepEqual(
      registry.runs.map(({ name, state }) => [name, state]),
      [
        ['live', 'running'],
        ['elsewhere', 'stopped'],
        ['old', 'finished'],
      ],
    );
    await live.remove();
    await registry.refresh();
    assert.equal(registry.get(live.directory), undefined);
    assert.equal(registry.runs.length, 2);
  });

  it('tells of every change of state, and of changes only', async () => {
    const run = await TestRun.create(path.join(folder, 'a'));
    const transitions: RunTransition[] = [];
    let changes = 0;
    registry.onDidTransition(transition => transitions.push(transition));
    registry.onDidChange(() => changes++);
    await run.takeLease();
    run.write(eventRecord('started', 0));
    await registry.register(run.directory);
    assert.equal(registry.live.length, 1);
    await registry.refresh();
    assert.equal(changes, 1);
    run.write(stepRecord(1, 0.5));
    await registry.refresh();
    run.write(eventRecord('stopped', 1));
    await run.releaseLease();
    await registry.refresh();
    assert.deepEqual(
      transitions.map(({ before, after }) => [before.state, after.state]),
      [
        ['starting', 'running'],
        ['running', 'stopped'],
      ],
    );
    assert.equal(changes, 3);
  });

  it('sees a settled run that was taken up again, and a trainer that died', async () => {
    const run = await TestRun.create(path.join(folder, 'a'));
    run.write(eventRecord('started', 0), stepRecord(1, 0.5), eventRecord('stopped', 1));
    assert.equal((await registry.register(run.directory))?.state, 'stopped');
    await run.takeLease();
    run.write(eventRecord('resumed', 1), stepRecord(2, 0.4));
    await registry.refresh();
    assert.equal(registry.get(run.directory)?.state, 'running');
    await run.releaseLease();
    await registry.refresh();
    assert.equal(registry.get(run.directory)?.state, 'interrupted');
  });

  it('forgets a registered directory that holds no run, and finds it when it does', async () => {
    const directory = path.join(folder, 'later');
    assert.equal(await registry.register(directory), undefined);
    const run = await TestRun.create(directory);
    run.write(eventRecord('started', 0));
    await registry.refresh();
    assert.equal(registry.get(directory)?.state, 'interrupted');
  });
});

describe('logs of runs', () => {
  it('give the last lines first, then each new whole line', async () => {
    const file = path.join(folder, 'log.txt');
    const tail = new LogTail(file, 2);
    assert.deepEqual(await tail.readNewLines(), []);
    await writeFile(file, 'one\ntwo\r\nthree\nfo');
    assert.deepEqual(await new LogTail(file, 2).readNewLines(), ['two', 'three']);
    assert.deepEqual(await tail.readNewLines(), ['two', 'three']);
    await appendFile(file, 'ur\n');
    assert.deepEqual(await tail.readNewLines(), ['four']);
    await truncate(file, 0);
    await appendFile(file, 'new\n');
    assert.deepEqual(await tail.readNewLines(), ['new']);
  });

  it('keep a bounded part of a huge backlog', async () => {
    const file = path.join(folder, 'log.txt');
    await writeFile(file, `${'x'.repeat(10_000_000)}\nlast\n`);
    const lines = await new LogTail(file, 10).readNewLines();
    assert.equal(lines.at(-1), 'last');
    assert.ok(lines.every(line => line.length <= 4000));
  });

  it('know the level and time of a line', () => {
    const cases: [string, string, string][] = [
      ['2025-01-31T12:00:00.000Z [warning] odd image', 'warn', '2025-01-31T12:00:00.000Z odd image'],
      ['2025-01-31T12:00:00.000Z [error] broken', 'error', '2025-01-31T12:00:00.000Z broken'],
      ['[info] fine', 'info', 'fine'],
      ['error: broken', 'error', 'broken'],
      ['errors are reported below', 'info', 'errors are reported below'],
      ['', 'info', ''],
    ];
    for (const [line, level, message] of cases) {
      assert.deepEqual([levelOfLine(line), messageOfLine(line)], [level, message]);
    }
  });

  it('reach the channel once, under the name of their run', async () => {
    const run = await TestRun.create(path.join(folder, 'kitchen'));
    await writeFile(
      path.join(run.directory, 'log.txt'),
      '2025-01-31T12:00:00.000Z [warning] odd: lower --warmup\n',
    );
    const written: string[] = [];
    const logs = new RunLogs((level, line) => written.push(`${level} ${line}`));
    await Promise.all([logs.catchUp(run.directory), logs.catchUp(run.directory)]);
    assert.deepEqual(written, [
      'warn [kitchen] 2025-01-31T12:00:00.000Z odd: lower clipself.training.warmup',
    ]);
    logs.dispose();
  });
});

describe('thinned step records', () => {
  it('keep both ends and every extreme, in order and within the limit', () => {
    const steps = Array.from({ length: 20_000 }, (_, index) => stepRecord(index + 1, Math.sin(index / 700)));
    steps[7777] = stepRecord(7778, 99);
    steps[12_345] = stepRecord(12_346, -99);
    const thin = thinSteps(steps, 500);
    assert.ok(thin.length <= 500 && thin.length > 400);
    assert.deepEqual([thin[0], thin.at(-1)], [steps[0], steps.at(-1)]);
    assert.ok(thin.some(({ loss }) => loss === 99) && thin.some(({ loss }) => loss === -99));
    assert.ok(thin.every((record, index) => index === 0 || record.step > thin[index - 1]!.step));
  });

  it('leave short lists alone', () => {
    const steps = [stepRecord(1, 1), stepRecord(2, 1)];
    assert.deepEqual(thinSteps(steps, 4), steps);
  });
});

describe('a serial task', () => {
  it('joins requests that come while it runs into one further pass', async () => {
    let passes = 0;
    let running = 0;
    const task = new SerialTask(async () => {
      assert.equal(++running, 1);
      await new Promise(resolve => setTimeout(resolve, 5));
      running--;
      passes++;
    });
    await Promise.all([task.run(), task.run(), task.run(), task.run()]);
    assert.equal(passes, 2);
    await task.run();
    assert.equal(passes, 3);
  });

  it('goes on after a failure', async () => {
    let passes = 0;
    const task = new SerialTask(async () => {
      if (++passes === 1) throw new Error('first');
    });
    const [first, second] = await Promise.allSettled([task.run(), task.run()]);
    assert.deepEqual([first.status, second.status, passes], ['rejected', 'fulfilled', 2]);
  });
});
