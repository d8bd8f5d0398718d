import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { blendDrawing } from '../../trainer/commands/blendCurve.ts';
import { blendSweepCommand } from '../../trainer/commands/blendSweep.ts';
import { evaluateCommand } from '../../trainer/commands/evaluate.ts';
import type { EvaluationReport } from '../../trainer/evaluate/protocol.ts';
import { SettingError } from '../../trainer/training/settings.ts';
import { UsageError } from '../../trainer/usageError.ts';
import { panopticFiles, writeTinyWords } from '../support/evaluationFixture.ts';
import { printed } from '../support/printed.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  runTrainer,
  tinyCommand,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

describe('clipself blend-sweep', function () {
  this.timeout(120_000);
  let folder: TemporaryFolder;
  let common: string[];

  const numbersIn = async (file: string): Promise<EvaluationReport['numbers']> =>
    (JSON.parse(await readFile(file, 'utf8')) as EvaluationReport).numbers;

  before(async () => {
    folder = await temporaryFolder();
    await buildTrainer();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 6);
    await writeTinyWords(folder.file('words.npy'));
    const train = tinyCommand(folder.file('model'), folder.file('images'), folder.file('run'));
    const { status, stderr } = await runTrainer([
      ...train,
      '--epochs',
      '4',
      '--blend',
      '0.5',
      '--lr',
      '1e-2',
    ]);
    assert.equal(status, 0, stderr);
    common = [
      '--images',
      panopticFiles.images,
      '--masks',
      panopticFiles.masks,
      '--threads',
      '1',
      '--size',
      '32',
    ];
    common.push('--panoptic', panopticFiles.annotations, '--embeddings', folder.file('words.npy'), '--json');
  });
  after(() => folder.remove());

  it('evaluates each blend as it would be given away, and draws the curve', async () => {
    const out = folder.file('sweep');
    const args = ['--model', folder.file('run'), '--alphas', '1,0,0.5', '--out', out, ...common];
    const { points } = JSON.parse(await printed(() => blendSweepCommand(args))) as {
      points: { alpha: number; numbers: EvaluationReport['numbers'] }[];
    };
    assert.deepEqual(
      points.map(({ alpha }) => alpha),
      [0, 0.5, 1],
    );
    // α = 0 is the original model; the run itself gave away α = 0.5.
    for (const [model, alpha] of [
      ['model', 0],
      ['run', 0.5],
    ] as const) {
      const report = folder.file(`${model}.json`);
      await printed(() => evaluateCommand(['--model', folder.file(model), '--out', report, ...common]));
      assert.deepEqual(points.find(point => point.alpha === alpha)!.numbers, await numbersIn(report));
    }
    assert.deepEqual(await numbersIn(`${out}/alpha-1.json`), points[2]!.numbers);
    // Accuracies of seven classes may coincide, cosines do not.
    const regions = [0, 0.5, 1].map(alpha => readFile(`${out}/alpha-${alpha}.regions.jsonl`, 'utf8'));
    assert.equal(new Set(await Promise.all(regions)).size, 3);
    const table = (await readFile(`${out}/blend.csv`, 'utf8')).trimEnd().split('\n');
    assert.match(table[0]!, /^alpha,rois\.thing\.macc1,.*,wholeImages\.top1$/);
    assert.deepEqual(
      table.slice(1).map(line => Number(line.split(',')[1])),
      points.map(({ numbers }) => numbers['rois.thing.macc1']),
    );
    assert.equal((await readFile(`${out}/blend.svg`, 'utf8')).match(/<polyline/g)!.length, 3);
    assert.ok((await readdir(out)).includes('alpha-0.5.json'));
  });

  it('marks the best share of each line', () => {
    const point = (alpha: number, accuracy: number) => ({
      alpha,
      numbers: { 'rois.thing.macc1': accuracy },
      wholeImages: 1 - accuracy,
    });
    const drawing = blendDrawing([point(0, 0.1), point(0.5, 0.6), point(1, 0.4)]);
    const circles = [...drawing.matchAll(/circle cx="([\d.]+)"/g)].map(match => Number(match[1]));
    assert.deepEqual(circles, [336, 56]);
  });

  it('refuses what it cannot sweep', async () => {
    const sweep = (...args: string[]) => blendSweepCommand([...args, ...common]);
    const out = ['--out', folder.file('refused')];
    await assert.rejects(sweep('--model', folder.file('run'), ...out), UsageError);
    await assert.rejects(
      sweep('--alphas', '0,1', ...out),
      /^UsageError: blend-sweep needs --model, .*\(clipself blend-sweep --help\)/,
    );
    await assert.rejects(sweep('--model', folder.file('run'), '--alphas', '0,2', ...out), SettingError);
    await assert.rejects(
      sweep('--model', folder.file('model'), '--alphas', '0,1', ...out),
      /no run directory with a checkpoint/,
    );
  });
});
