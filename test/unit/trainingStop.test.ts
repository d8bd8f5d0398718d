import assert from 'node:assert/strict';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  runTrainer,
  startProcess,
  startTrainer,
  type TrainerProcess,
  textOf,
  tinyCommand,
  waitUntil,
  weightsOfRun,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

describe('a training run that is stopped', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  /** The processes of the test in progress. */
  let trainers: TrainerProcess[];

  /** Two epochs of 2 steps, and an evaluation that takes longer than they do. */
  const command = (run: string) => [
    ...tinyCommand(folder.file('model'), folder.file('images'), folder.file(run)),
    ...['--epochs', '2', '--hold-out', '36'],
  ];

  before(async () => {
    folder = await temporaryFolder();
    await buildTrainer();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 40);
    assert.equal((await runTrainer(command('undisturbed'))).status, 0);
  });
  after(() => folder.remove());
  beforeEach(() => {
    trainers = [];
  });
  afterEach(async () => {
    for (const { child } of trainers) child.kill('SIGKILL');
    await Promise.all(trainers.map(({ ended }) => ended));
  });

  const historyOf = (run: string) => readMetricHistory(runFiles(folder.file(run)).metrics);
  const turns = async (run: string) => (await historyOf(run)).events.map(({ event }) => event.kind);
  const evaluationsOf = async (run: string) =>
    (await historyOf(run)).evaluations.map(({ eval: { step, 'heldOut.cosine': cosine } }) => [step, cosine]);

  it('makes up for the last evaluation when a stop cut it short', async () => {
    const trainer = startTrainer(command('cut'));
    trainers.push(trainer);
    const { metrics } = runFiles(folder.file('cut'));
    assert.ok(await waitUntil(trainer, () => /^\{"step":4,/m.test(textOf(metrics))));

    trainer.child.kill('SIGTERM');
    const { status, stdout } = await trainer.ended;
    assert.equal(status, 0);
    assert.match(stdout, /^stopped after step 4: /);
    assert.deepEqual(await turns('cut'), ['started', 'stopped']);
    assert.equal((await evaluationsOf('cut')).length, 2);

    assert.equal((await runTrainer(command('cut'))).status, 0);
    assert.deepEqual(await turns('cut'), ['started', 'stopped', 'resumed', 'finished']);
    assert.deepEqual(await evaluationsOf('cut'), await evaluationsOf('undisturbed'));
    assert.deepEqual(await weightsOfRun(folder.file('cut')), await weightsOfRun(folder.file('undisturbed')));
  });

  it('removes what a killed trainer left half written, and nothing else', async () => {
    const directory = folder.file('undisturbed');
    const names = (await readdir(directory)).sort();
    const leftovers = ['student.safetensors', 'preview.json', 'config.json'].map(
      name => `.${name}.tmp-7-0123abcd`,
    );
    for (const name of [...leftovers, '.notes', '.student.safetensors.mine'])
      await writeFile(`${directory}/${name}`, 'half');
    // Without its student a finished run has something to do.
    await rm(runFiles(directory).student);
    assert.equal((await runTrainer(command('undisturbed'))).status, 0);
    assert.deepEqual(
      (await readdir(directory)).sort(),
      [...names, '.notes', '.student.safetensors.mine'].sort(),
    );
  });

  it('ends at once on a second signal a while after the first', async () => {
    const server = JSON.stringify(new URL('../../trainer/server.ts', import.meta.url).href);
    const script = `
      const { StopSwitch } = await import(${server});
      const stop = new StopSwitch();
      stop.listen();
      setInterval(() => console.log(stop.requested), 20);
    `;
    const waiting = startProcess(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script]);
    trainers.push(waiting);
    let output = '';
    waiting.child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
    });
    assert.ok(await waitUntil(waiting, () => output.includes('false')));
    waiting.child.kill('SIGINT');
    assert.ok(await waitUntil(waiting, () => output.includes('true')));
    await delay(1200);
    waiting.child.kill('SIGINT');
    const { status, signal } = await waiting.ended;
    assert.deepEqual([status, signal], [130, null]);
  });
});
