import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type ReadRun, readRun } from '../../trainer/compare/comparedRun.ts';
import { compareRuns } from '../../trainer/compare/compareRuns.ts';
import { curvesCsv, latexTable, summaryCsv } from '../../trainer/compare/comparisonTables.ts';
import { comparisonText } from '../../trainer/compare/comparisonText.ts';
import { runCurves } from '../../trainer/compare/curves.ts';
import { summaryFileOf, writeComparisonCsv } from '../../trainer/compare/writeComparison.ts';
import type { MetricRecord } from '../../trainer/protocol.ts';
import { MetricHistory } from '../../trainer/runs/metricRecords.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { stepRecord, TestRun } from '../support/runDirectories.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const start = Date.parse('2026-01-01T00:00:00Z');
const event = (kind: 'started' | 'resumed' | 'stopped', step: number, seconds: number): MetricRecord => ({
  event: { kind, step, time: start + 1000 * seconds },
});
const step = (at: number, loss: number, seconds: number) => stepRecord(at, loss, start + 1000 * seconds);
const evaluation = (at: number, seconds: number, values: Record<string, number>): MetricRecord => ({
  eval: { ...values, epoch: at / 50, step: at, time: start + 1000 * seconds },
});

describe('comparing runs', () => {
  let folder: TemporaryFolder;

  before(async () => {
    folder = await temporaryFolder();
  });
  after(() => folder.remove());

  /** A run with records, and with other settings; a setting given as undefined is left out of the file. */
  async function makeRun(
    name: string,
    records: readonly MetricRecord[],
    settings: Record<string, unknown> = {},
  ): Promise<string> {
    const directory = folder.file(name);
    const run = await TestRun.create(directory);
    run.write(...records);
    const file = runFiles(directory).configuration;
    const content = JSON.parse(await readFile(file, 'utf8')) as { settings: object };
    content.settings = { ...content.settings, ...settings };
    await writeFile(file, JSON.stringify(content));
    return directory;
  }

  const readAll = (directories: readonly string[]): Promise<ReadRun[]> =>
    Promise.all(directories.map(readRun));

  describe('alignment of curves', () => {
    const curvesOf = (...records: MetricRecord[]) => {
      const history = new MetricHistory();
      history.addAll(records);
      return runCurves(history, 4);
    };

    it('gives every record its step, epoch and training time', () => {
      const { steps, evaluations } = curvesOf(
        event('started', 0, 0),
        evaluation(0, 3, { 'heldOut.cosine': 0.5 }),
        step(1, 0.9, 5),
        step(2, 0.8, 7),
        evaluation(2, 8, { 'heldOut.cosine': 0.6, 'rois.thing.macc1': Number.NaN }),
      );
      assert.deepEqual(
        steps.map(({ step, epoch, seconds, loss }) => [step, epoch, seconds, loss]),
        [
          [1, 0.25, 5, 0.9],
          [2, 0.5, 7, 0.8],
        ],
      );
      assert.deepEqual(evaluations, [
        { step: 0, epoch: 0, seconds: 3, values: { 'heldOut.cosine': 0.5 } },
        { step: 2, epoch: 0.5, seconds: 8, values: { 'heldOut.cosine': 0.6 } },
      ]);
    });

    it('leaves breaks and work that was thrown away out of the training time', () => {
      const { steps } = curvesOf(
        event('started', 0, 0),
        step(1, 0.9, 10),
        step(2, 0.8, 20),
        step(3, 0.7, 30),
        // Killed; resumed an hour later from step 2.
        event('resumed', 2, 3600),
        step(3, 0.7, 3612),
        event('stopped', 3, 3613),
        event('resumed', 3, 9000),
        step(4, 0.6, 9008),
      );
      assert.deepEqual(
        steps.map(({ step, seconds }) => [step, seconds]),
        [
          [1, 10],
          [2, 20],
          [3, 32],
          [4, 40],
        ],
      );
    });

    it('has null where a step measured no number', () => {
      assert.equal(curvesOf(step(1, Number.NaN, 1)).steps[0]!.loss, null);
    });
  });

  describe('settings', () => {
    it('are listed where they differ and nowhere else', async () => {
      const runs = await readAll([
        await makeRun('same-a', []),
        await makeRun('same-b', [], { learningRate: 3e-5, boxes: '/boxes.json' }),
        await makeRun('same-c', [], { learningRate: 3e-5 }),
      ]);
      assert.deepEqual(compareRuns(runs, 0).settings, [
        { name: 'boxes', values: ['none', '/boxes.json', 'none'] },
        { name: 'learningRate', values: ['0.00001', '0.00003', '0.00003'] },
      ]);
    });

    it('are not set where an earlier version lacked them, which is a difference if it did otherwise', async () => {
      const earlier = { retention: undefined, accumulate: undefined };
      const runs = await readAll([
        await makeRun('earlier', [], earlier),
        await makeRun('later', [], { retention: 0.5 }),
      ]);
      assert.deepEqual(compareRuns(runs, 0).settings, [{ name: 'retention', values: [null, '0.5'] }]);
      assert.match(comparisonText(compareRuns(runs, 0)), /^retention +not set +0\.5$/m);
    });
  });

  describe('a run that is gone or broken', () => {
    it('says so and leaves the others comparable', async () => {
      const good = await makeRun('good', [step(1, 0.5, 1)]);
      const other = await makeRun('other', [step(1, 0.4, 1)], { seed: 5 });
      const broken = await makeRun('broken', []);
      await writeFile(path.join(broken, 'config.json'), '{"schema": 1, "settings": {');
      const { runs, settings } = compareRuns(await readAll([good, folder.file('gone'), broken, other]), 0);
      assert.deepEqual(
        runs.map(({ loss }) => loss),
        [0.5, null, null, 0.4],
      );
      assert.match(runs[1]!.problem!, /config\.json: cannot read: no such file/);
      assert.match(runs[2]!.problem!, /config\.json: it is not valid JSON/);
      assert.deepEqual(settings, [{ name: 'seed', values: ['0', null, null, '5'] }]);
    });
  });

  describe('the twelve numbers', () => {
    it('are the last of each run, with differences to the base', async () => {
      const runs = await readAll([
        await makeRun('n/a', [
          evaluation(0, 1, { 'rois.thing.macc1': 0.125, 'crops.thing.macc1': 0.75 }),
          evaluation(50, 2, { 'rois.thing.macc1': 0.25, 'maskpool.stuff.macc5': 0.5 }),
        ]),
        await makeRun('n/b', [evaluation(50, 2, { 'rois.thing.macc1': 0.5 })]),
      ]);
      const { numbers, runs: compared } = compareRuns(runs, 1);
      assert.equal(numbers.length, 12);
      const row = (name: string) => numbers.find(number => number.name === name)!;
      assert.deepEqual(row('rois.thing.macc1').values, [0.25, 0.5]);
      assert.deepEqual(row('rois.thing.macc1').differences, [-0.25, null]);
      assert.deepEqual(row('crops.thing.macc1').values, [0.75, null]);
      assert.deepEqual(row('crops.thing.macc1').differences, [null, null]);
      assert.deepEqual(
        compared.map(({ numbersStep }) => numbersStep),
        [50, 50],
      );
      assert.deepEqual(compared[0]!.numbersBefore, { 'rois.thing.macc1': 0.125, 'crops.thing.macc1': 0.75 });
    });
  });

  describe('tables', () => {
    let runs: ReadRun[];
    before(async () => {
      runs = await readAll([
        await makeRun('t/50%_a&b', [
          event('started', 0, 0),
          evaluation(0, 1, { 'rois.thing.macc1': 0.182, 'rois.thing.macc5': 0.332 }),
          step(1, 0.5, 2),
          evaluation(50, 3, { 'rois.thing.macc1': 0.4006, 'maskpool.stuff.macc1': 0.2 }),
        ]),
        await makeRun('t/b', [step(1, Number.NaN, 2)], { regions: 'proposals', boxes: '/b.json' }),
        folder.file('t/gone'),
      ]);
    });

    it('have every value a line', () => {
      const comparison = compareRuns(runs, 0);
      const named = runs.flatMap((run, index) =>
        run.problem === null
          ? [{ name: comparison.runs[index]!.name, curves: runCurves(run.history, 50) }]
          : [],
      );
      assert.equal(
        [...curvesCsv(named)].join(''),
        [
          'run,step,epoch,metric,value',
          '50%_a&b,1,0.02,loss,0.5',
          '50%_a&b,1,0.02,lr,0.00001',
          '50%_a&b,1,0.02,gradNorm,1',
          '50%_a&b,1,0.02,imagesPerSecond,2',
          '50%_a&b,0,0,rois.thing.macc1,0.182',
          '50%_a&b,0,0,rois.thing.macc5,0.332',
          '50%_a&b,50,1,rois.thing.macc1,0.4006',
          '50%_a&b,50,1,maskpool.stuff.macc1,0.2',
          'b,1,0.02,lr,0.00001',
          'b,1,0.02,gradNorm,1',
          'b,1,0.02,imagesPerSecond,2',
          '',
        ].join('\r\n'),
      );
    });

    it('have a summary of a line a run', () => {
      const { settings, ...comparison } = compareRuns(runs, 0);
      const [heads, first, , gone, end] = summaryCsv({ ...comparison, settings }).split('\r\n');
      const numbers = comparison.numbers.map(({ name }) => name);
      assert.equal(
        heads,
        [
          'run,directory,problem,state,step,totalSteps,method,regions,loss,heldOut.cosine,base',
          ...numbers,
          ...numbers.map(name => `${name} difference`),
          'setting regions,setting boxes',
        ].join(','),
      );
      const row = [
        folder.file('t/50%_a&b'),
        '',
        'interrupted',
        '1',
        '100',
        'clipself',
        'grid',
        '0.5',
        '',
        'yes',
      ];
      const values = ['0.4006', '0.332', '', '', '', '', '0.2', '', '', '', '', ''];
      const differences = values.map(() => '');
      assert.equal(first, ['50%_a&b', ...row, ...values, ...differences, 'grid', 'none'].join(','));
      assert.equal(
        gone,
        `gone,${folder.file('t/gone')},${(runs[2] as { problem: string }).problem}${','.repeat(34)}`,
      );
      assert.equal(end, '');
    });

    it('are written beside each other', async () => {
      const file = folder.file('table.csv');
      await writeComparisonCsv(file, runs, compareRuns(runs, 0));
      assert.equal(summaryFileOf(file), folder.file('table.summary.csv'));
      assert.equal((await readFile(file, 'utf8')).split('\r\n').length, 13);
      assert.equal((await readFile(summaryFileOf(file), 'utf8')).split('\r\n').length, 5);
    });

    it('have the shape of the paper’s tables in LaTeX', () => {
      assert.equal(
        latexTable(compareRuns(runs, 0)),
        String.raw`% mAcc in percent, last evaluation of each run: boxes (RoIAlign), masks of things, masks of stuff
\begin{tabular}{lllcccccc}
\toprule
 & & & \multicolumn{2}{c}{Boxes} & \multicolumn{2}{c}{Masks-T} & \multicolumn{2}{c}{Masks-S} \\
\cmidrule(lr){4-5} \cmidrule(lr){6-7} \cmidrule(lr){8-9}
Run & Method & Regions & Top1 & Top5 & Top1 & Top5 & Top1 & Top5 \\
\midrule
model & original & -- & 18.2 & 33.2 & -- & -- & -- & -- \\
\midrule
50\%\_a\&b & CLIPSelf & image patches & 40.1 & 33.2 & -- & -- & 20.0 & -- \\
b & CLIPSelf & region proposals & -- & -- & -- & -- & -- & -- \\
gone & -- & -- & -- & -- & -- & -- & -- & -- \\
\bottomrule
\end{tabular}
`,
      );
    });
  });
});
