import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  type EvaluationReport,
  runReportPath,
  type TwelveNumberName,
} from '../../trainer/evaluate/protocol.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { readRunConfiguration, writeRunConfiguration } from '../../trainer/runs/runConfiguration.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { panopticFiles, readRegions, writePanoptic, writeTinyWords } from '../support/evaluationFixture.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  type Ended,
  runTrainer,
  startProcess,
  startTrainer,
  tinyCommand,
  trainerProgram,
  waitUntil,
  weightsOfRun,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

const readReport = async (run: string, epoch: number): Promise<EvaluationReport> =>
  JSON.parse(await readFile(path.join(run, runReportPath(epoch)), 'utf8')) as EvaluationReport;

describe('region evaluation of a run', function () {
  this.timeout(120_000);
  let folder: TemporaryFolder;
  let evaluation: string[];
  let command: (out: string) => string[];

  before(async () => {
    await buildTrainer();
    folder = await temporaryFolder();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 5);
    await writeTinyWords(folder.file('words.npy'));
    const { annotations, images, masks } = panopticFiles;
    evaluation = ['--evaluate-panoptic', annotations, '--evaluate-images', images];
    evaluation.push('--evaluate-masks', masks, '--evaluate-embeddings', folder.file('words.npy'));
    command = out => [
      ...tinyCommand(folder.file('model'), folder.file('images'), folder.file(out)),
      ...['--epochs', '2', '--hold-out', '1'],
    ];
  });
  after(() => folder.remove());

  const succeeded = ({ status, stderr }: Ended): void => assert.equal(status, 0, stderr);

  /** Epochs of the evaluations with a number of regions that count. */
  async function recorded(out: string): Promise<{ epoch: number; step: number; number: number }[]> {
    const { evaluations } = await readMetricHistory(runFiles(folder.file(out)).metrics);
    const name: TwelveNumberName = 'crops.thing.macc5';
    return evaluations
      .filter(record => name in record.eval)
      .map(({ eval: { epoch, step, [name]: number } }) => ({ epoch, step, number: number! }));
  }

  it('names regions before training and after each epoch, and trains the same bits', async () => {
    succeeded(await runTrainer([...command('with'), ...evaluation]));
    succeeded(await runTrainer(command('without')));
    assert.deepEqual(await weightsOfRun(folder.file('with')), await weightsOfRun(folder.file('without')));
    const records = await recorded('with');
    assert.deepEqual(
      records.map(({ epoch, step }) => [epoch, step]),
      [
        [0, 0],
        [1, 2],
        [2, 4],
      ],
    );
    for (const { epoch, step, number } of records) {
      const report = await readReport(folder.file('with'), epoch);
      assert.equal(report.numbers['crops.thing.macc5'], number);
      assert.deepEqual([report.model.epoch, report.model.step, report.size], [epoch, step, 32]);
      assert.equal(report.model.run, folder.file('with'));
      assert.equal((await readRegions(path.join(folder.file('with'), runReportPath(epoch)))).length, 22);
    }
    const [first, last] = [
      await readReport(folder.file('with'), 0),
      await readReport(folder.file('with'), 2),
    ];
    assert.notEqual(first.model.sha256, last.model.sha256);
    assert.notDeepEqual(first.readings.rois!.overall, last.readings.rois!.overall);
    // The same that the command says of what the run leaves.
    const out = folder.file('student.json');
    const { annotations, images, masks } = panopticFiles;
    const args = ['--model', folder.file('with'), '--panoptic', annotations, '--images', images];
    args.push('--masks', masks, '--embeddings', folder.file('words.npy'), '--size', '32', '--threads', '1');
    succeeded(
      await startProcess(process.execPath, [trainerProgram, 'evaluate', ...args, '--out', out]).ended,
    );
    const alone = JSON.parse(await readFile(out, 'utf8')) as EvaluationReport;
    assert.deepEqual(
      [alone.numbers, alone.readings, alone.model.sha256],
      [last.numbers, last.readings, last.model.sha256],
    );
  });

  it('stops within an evaluation and goes on there', async () => {
    const run = folder.file('stopped');
    const progress = path.join(run, 'evaluations/epoch-0000/report.progress.jsonl');
    const trainer = startTrainer([...command('stopped'), ...evaluation]);
    // The first evaluation takes long enough to be met: its programs are compiled.
    assert.ok(await waitUntil(trainer, () => existsSync(progress)));
    trainer.child.kill('SIGTERM');
    succeeded(await trainer.ended);
    const cut = (await recorded('stopped')).length === 0;
    succeeded(await runTrainer([...command('stopped'), ...evaluation]));
    assert.ok(cut, 'the evaluation was over before it could be stopped');
    assert.deepEqual(
      (await recorded('stopped')).map(({ epoch }) => epoch),
      [0, 1, 2],
    );
    assert.deepEqual(await weightsOfRun(run), await weightsOfRun(folder.file('without')));
    const [resumed, whole] = [await readReport(run, 1), await readReport(folder.file('with'), 1)];
    assert.deepEqual(resumed.readings, whole.readings);
  });

  it('does not repeat what is finished', async () => {
    const before = await readReport(folder.file('with'), 1);
    // As if the trainer had died after its last checkpoint.
    await rm(runFiles(folder.file('with')).student);
    succeeded(await runTrainer(['--resume', folder.file('with')]));
    assert.equal((await readReport(folder.file('with'), 1)).created, before.created);
    assert.equal((await recorded('with')).length, 3);
  });

  it('finds mistakes in the data before it trains', async () => {
    const wrong = folder.file('wrong.json');
    await writePanoptic(wrong, ({ annotations }) => {
      annotations[2]!.segments_info[1]!.category_id = 78;
    });
    for (const [change, message] of [
      // Training has no --skip-broken to advise.
      [['--evaluate-panoptic', wrong], /wrong\.json: segment \d+ has the category 78.*\. Correct the file$/m],
      [
        ['--evaluate-masks', folder.file('images')],
        /p0\.png: no such file, but panoptic\.json names it\. Check the folders$/m,
      ],
      [['--evaluate-embeddings', folder.file('none.npy')], /none\.npy: cannot read: no such file/],
    ] as const) {
      const { status, stderr } = await runTrainer([...command('never'), ...evaluation, ...change]);
      assert.equal(status, 1);
      assert.match(stderr, message);
    }
    const { status, stderr } = await runTrainer([...command('never'), ...evaluation.slice(2)]);
    assert.equal(status, 2);
    assert.match(stderr, /belong to --evaluate-panoptic/);
    assert.ok(!existsSync(folder.file('never')));
  });

  it('reads runs of earlier versions, which had no such settings', async () => {
    const { configuration } = runFiles(folder.file('without'));
    const content = await readRunConfiguration(configuration);
    const settings: Record<string, unknown> = { ...content.settings };
    for (const name of Object.keys(settings)) if (name.startsWith('evaluate')) delete settings[name];
    await writeRunConfiguration(configuration, { ...content, settings: settings as never });
    assert.deepEqual(await readRunConfiguration(configuration), content);
  });
});
