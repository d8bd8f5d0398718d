import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { EvaluationRecord, PatchPreview } from '../../trainer/protocol.ts';
import type { MetricHistory } from '../../trainer/runs/metricRecords.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { RunLog } from '../../trainer/runs/runLog.ts';
import { RunRecords } from '../../trainer/runs/runRecords.ts';
import { heldOutAgreement } from '../../trainer/training/heldOut.ts';
import { PreviewFile } from '../../trainer/training/patchPreview.ts';
import { SkippedImages } from '../../trainer/training/skippedImages.ts';
import { StepReports } from '../../trainer/training/stepReports.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { tinyBatch } from '../support/tinyDistiller.ts';

describe('records of a run', () => {
  let folder: TemporaryFolder;
  let said: string[];
  let log: RunLog;
  const opened: RunRecords[] = [];
  beforeEach(async () => {
    folder = await temporaryFolder();
    said = [];
    log = new RunLog({ write: text => said.push(text) });
  });
  afterEach(async () => {
    for (const records of opened.splice(0)) records.dispose();
    await folder.remove();
  });

  function open(writes = true): RunRecords {
    const records = new RunRecords({ metrics: folder.file('metrics.jsonl') }, writes, log);
    opened.push(records);
    return records;
  }
  const history = (): Promise<MetricHistory> => readMetricHistory(folder.file('metrics.jsonl'));
  const events = async (): Promise<unknown[]> =>
    (await history()).events.map(({ event: { kind, step, message } }) => [kind, step, message]);

  it('begin once and go on after that', async () => {
    open().begin(await history(), 0, 10);
    open().begin(await history(), 4, 10);
    assert.deepEqual(await events(), [
      ['started', 0, undefined],
      ['resumed', 4, undefined],
    ]);
    assert.deepEqual(said, ['resumed after step 4 of 10\n']);
  });

  it('are written by the leading rank alone', async () => {
    const records = open(false);
    records.begin(await history(), 0, 10);
    records.warn(1, 'hot');
    records.fail(1, new Error('broken'));
    assert.deepEqual(await events(), []);
    assert.deepEqual(said, ['warning: hot\n']);
  });

  it('tell of a failure', async () => {
    open().fail(3, new Error('the disk is full'));
    assert.deepEqual(await events(), [['failed', 3, 'the disk is full']]);
  });

  it('name an image that cannot be used once', async () => {
    const skipped = new SkippedImages(open());
    const broken = { file: 'a.png', reason: 'it is empty' };
    skipped.report([broken, broken], 2);
    skipped.report([{ file: 'b.png', reason: 'it is empty' }, broken], 3);
    assert.deepEqual(await events(), [
      ['warning', 2, 'skipped a.png: it is empty (1 so far)'],
      ['warning', 3, 'skipped b.png: it is empty (2 so far)'],
    ]);
  });

  it('hold a line a step, with its share of waiting and its epoch', async () => {
    const reports = new StepReports(open(), log, { totalSteps: 10, stepsPerEpoch: 4 });
    const numbers = { loss: 0.5, lr: 1e-3, gradNorm: 2 };
    reports.report({ step: 4, ...numbers, images: 8, seconds: 2, waited: 0.5 });
    const scaled = { lossScale: 1024, skippedSteps: 1 };
    reports.report({ step: 5, ...numbers, images: 8, seconds: 2, waited: 3, scaled });
    const [first, second] = (await history()).steps;
    const { time, memoryMib, ...rest } = first!;
    assert.ok(time > 0 && memoryMib > 0);
    assert.deepEqual(rest, { step: 4, epoch: 1, ...numbers, imagesPerSecond: 4, dataWait: 0.25 });
    assert.deepEqual(
      [second!.epoch, second!.dataWait, second!.lossScale, second!.skippedSteps],
      [2, 1, 1024, 1],
    );
    assert.match(said[0]!, /^step 4\/10 {2}epoch 1 {2}loss 0\.5000 .* 0:12 left\n$/);
  });

  it('give the agreement before training and the latest', () => {
    const measured = (step: number, numbers: Record<string, number>): EvaluationRecord => ({
      eval: { epoch: step / 4, step, time: 1, ...numbers },
    });
    assert.deepEqual(heldOutAgreement([]), { before: null, after: null });
    const later = [measured(4, { 'heldOut.cosine': 0.6 }), measured(4, { 'rois.thing.macc1': 0.1 })];
    assert.deepEqual(heldOutAgreement(later), { before: null, after: 0.6 });
    const all = [measured(0, { 'heldOut.cosine': 0.2 }), ...later];
    assert.deepEqual(heldOutAgreement(all), { before: 0.2, after: 0.6 });
  });

  it('show patches at most once a second, and those of the last step', async () => {
    const file = folder.file('preview.json');
    const preview = new PreviewFile(file, 3);
    const source = { file: 'a.png', width: 9, height: 8, rows: 0, columns: 0, boxes: [] };
    const batch = {
      ...tinyBatch(),
      ...{ size: 32, kept: null, labels: [], wholes: new Float32Array(0) },
      ...{ boxCounts: [3, 1], sources: [source], skipped: [] },
    };
    const result = { loss: 1, gradNorm: 1, cosines: [[0.5]], lossScale: null, skipped: false };
    const shown: number[] = [];
    for (const step of [1, 2, 3]) {
      await preview.write(step, batch, result);
      shown.push((JSON.parse(await readFile(file, 'utf8')) as PatchPreview).step);
    }
    assert.deepEqual(shown, [1, 1, 3]);
  });
});
