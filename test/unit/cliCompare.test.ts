import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { compareCommand } from '../../trainer/commands/compare.ts';
import type { RunComparison } from '../../trainer/compare/protocol.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { UsageError } from '../../trainer/usageError.ts';
import { printed } from '../support/printed.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  runTrainer,
  tinyCommand,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

describe('clipself compare', function () {
  this.timeout(120_000);
  let folder: TemporaryFolder;
  let runs: string[];

  before(async () => {
    folder = await temporaryFolder();
    await buildTrainer();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 6);
    runs = ['slow', 'fast'].map(name => folder.file(name));
    for (const [index, run] of runs.entries()) {
      const command = tinyCommand(folder.file('model'), folder.file('images'), run);
      const rate = ['--lr', index === 0 ? '1e-4' : '1e-2', '--epochs', '2', '--hold-out', '2'];
      const { status, stderr } = await runTrainer([...command, ...rate]);
      assert.equal(status, 0, stderr);
    }
  });
  after(() => folder.remove());

  it('says what differs and writes the tables', async () => {
    const [csv, latex] = [folder.file('all.csv'), folder.file('table.tex')];
    const args = [...runs, '--base', runs[1]!, '--csv', csv, '--latex', latex, '--json'];
    const comparison = JSON.parse(await printed(() => compareCommand(args))) as RunComparison;
    assert.equal(comparison.base, 1);
    assert.deepEqual(comparison.settings, [{ name: 'learningRate', values: ['0.0001', '0.01'] }]);
    const history = await readMetricHistory(runFiles(runs[0]!).metrics);
    assert.equal(comparison.runs[0]!.loss, history.steps.at(-1)!.loss);
    assert.equal(comparison.runs[0]!.heldOutCosine, history.evaluations.at(-1)!.eval['heldOut.cosine']);
    const lines = (await readFile(csv, 'utf8')).split('\r\n');
    assert.equal(lines.filter(line => /^slow,\d+,[\d.]+,loss,/.test(line)).length, history.steps.length);
    assert.equal(
      lines.filter(line => line.startsWith('slow,') && line.includes(',heldOut.cosine,')).length,
      history.evaluations.length,
    );
    assert.match(await readFile(folder.file('all.summary.csv'), 'utf8'), /^fast,.*,yes,/m);
    assert.match(await readFile(latex, 'utf8'), /^slow & CLIPSelf & image patches & -- /m);
  });

  it('prints tables for people', async () => {
    const text = await printed(() => compareCommand(runs));
    assert.match(text, /^ +slow \(base\) +fast$/m);
    assert.match(text, /^learningRate +0\.0001 +0\.01$/m);
    assert.match(text, /none of the runs was evaluated on regions/);
  });

  it('refuses what cannot be compared', async () => {
    await assert.rejects(compareCommand([runs[0]!]), UsageError);
    await assert.rejects(compareCommand([runs[0]!, runs[0]!]), /is named twice/);
    await assert.rejects(compareCommand([...runs, '--base', folder.file('images')]), /is none of the runs/);
    await assert.rejects(
      compareCommand([folder.file('none'), folder.file('images')]),
      /none of the runs can be read: .*none.*no such file/,
    );
    await assert.rejects(compareCommand(Array.from({ length: 7 }, (_, at) => `run-${at}`)), /two to 6/);
  });

  it('goes on without a run that is gone', async () => {
    await rm(runs[1]!, { recursive: true });
    const text = await printed(() => compareCommand(runs));
    assert.match(text, /^state +finished at \d+\/\d+ +cannot be read$/m);
    assert.match(text, /^fast: .*no such file/m);
  });
});
