import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type EvaluationProgress, progressOf, runEvaluation } from '../../extension/evaluationProcess.ts';
import {
  evaluateArguments,
  evaluationReportPath,
  isEvaluateCall,
  likelyFolders,
  parseEvaluateArguments,
} from '../../extension/regionEvaluation.ts';
import { readEvaluateOptions } from '../../trainer/commands/evaluateOptions.ts';
import type { EvaluationReport } from '../../trainer/evaluate/protocol.ts';
import { panopticFiles, writeTinyWords } from '../support/evaluationFixture.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { buildTrainer, trainerProgram, writeTinyModel } from '../support/trainingFixture.ts';

const choice = {
  model: path.resolve('/models/b16.safetensors'),
  panoptic: path.resolve('/coco/annotations/panoptic_val2017.json'),
  images: path.resolve('/coco/val2017'),
  masks: path.resolve('/coco/annotations/panoptic_val2017'),
  embeddings: null,
  size: 448,
};

describe('the argument of the evaluate command', () => {
  it('is taken as it is, with defaults for what a program leaves open', () => {
    assert.deepEqual(parseEvaluateArguments(choice), choice);
    const { size: _size, embeddings: _embeddings, ...least } = choice;
    assert.ok(isEvaluateCall(least));
    assert.deepEqual(parseEvaluateArguments(least), { ...choice, size: null });
    assert.deepEqual(parseEvaluateArguments({ model: choice.model }), { model: choice.model });
    assert.deepEqual(parseEvaluateArguments(undefined), {});
  });

  it('names what cannot be used', () => {
    assert.throws(() => parseEvaluateArguments({ model: 'b16.pt' }), /“model” must be an absolute path/);
    assert.throws(() => parseEvaluateArguments({ size: 7.5 }), /“size” must be a whole number/);
    assert.throws(() => parseEvaluateArguments({ models: '/a' }), /“models” is not an argument/);
    assert.throws(() => parseEvaluateArguments({ open: 'yes' }), /“open” must be true or false/);
  });

  it('becomes a command line that the trainer understands', () => {
    const report = evaluationReportPath(path.resolve('/home/user/evaluations'), choice);
    assert.match(report, /[\\/]evaluations[\\/]b16-panoptic_val2017-448px-[0-9a-f]{6}[\\/]report\.json$/);
    assert.equal(evaluationReportPath(path.resolve('/home/user/evaluations'), { ...choice }), report);
    const [command, ...args] = evaluateArguments(choice, report);
    assert.equal(command, 'evaluate');
    const options = readEvaluateOptions(args)!;
    assert.deepEqual(
      [options.kind, options.annotations, options.folders, options.size, options.out, options.json],
      ['panoptic', choice.panoptic, { images: choice.images, masks: choice.masks }, 448, report, true],
    );
  });

  it('finds folders by COCO’s names', () => {
    const { images, masks } = likelyFolders(choice.panoptic);
    assert.ok(images.includes(choice.images));
    assert.ok(masks.includes(choice.masks));
  });
});

describe('an evaluation as a process', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;

  before(async () => {
    await buildTrainer();
    folder = await temporaryFolder();
    await writeTinyModel(folder.file('model'));
    await writeTinyWords(folder.file('words.npy'));
  });
  after(() => folder.remove());

  const launch = (embeddings = folder.file('words.npy')) => {
    const { annotations: panoptic, images, masks } = panopticFiles;
    const asked = { model: folder.file('model'), panoptic, images, masks, embeddings, size: 32 };
    const args = evaluateArguments(asked, folder.file('out/report.json'));
    return { what: 'The evaluation', executable: process.execPath, script: trainerProgram, args };
  };

  it('reads its progress', () => {
    assert.deepEqual(progressOf('image 3/12  0:07 left'), { percent: 25, message: 'image 3/12  0:07 left' });
    assert.equal(progressOf('reading a.json').percent, null);
  });

  it('stops when it is cancelled and goes on the next time', async () => {
    const controller = new AbortController();
    const seen: EvaluationProgress[] = [];
    const state = await runEvaluation(launch(), controller.signal, progress => {
      seen.push(progress);
      controller.abort();
    });
    assert.equal(state, 'stopped');
    assert.ok(seen.length > 0);
    assert.equal(await runEvaluation(launch(), new AbortController().signal, () => undefined), 'finished');
    const report = JSON.parse(await readFile(folder.file('out/report.json'), 'utf8')) as EvaluationReport;
    assert.equal(report.counts.regions, 22);
  });

  it('fails with the command’s own line', async () => {
    await assert.rejects(
      runEvaluation(launch(folder.file('none.npy')), new AbortController().signal, () => undefined),
      /none\.npy: cannot read: no such file or folder/,
    );
  });
});
