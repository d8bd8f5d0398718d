import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { summariseRun } from '../../trainer/runs/runSummary.ts';
import { buildLostCard, type LostCard } from '../support/lostCard.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  startProcess,
  tinyCommand,
  trainerProgram,
  waitForSteps,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

describe('a run whose graphics card is lost', function () {
  this.timeout(120_000);
  let folder: TemporaryFolder;
  let card: LostCard;

  before(async function () {
    folder = await temporaryFolder();
    const built = await buildLostCard(folder.path);
    if (typeof built === 'string') skipBecause(this, built);
    card = built;
    await buildTrainer();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 8);
  });
  after(() => folder.remove());

  const start = () =>
    startProcess(
      process.execPath,
      [
        ...[trainerProgram, 'train', '--engine', 'webgpu', '--epochs', '16', '--checkpoint-every', '2'],
        ...tinyCommand(folder.file('model'), folder.file('images'), folder.file('run')),
      ],
      card.environment,
    );

  it('says so in one line, keeps its checkpoints, and goes on when the card is back', async () => {
    const first = start();
    assert.ok(await waitForSteps(first, folder.file('run'), 5), 'it ended before');
    await card.lose();
    const { status, stderr } = await first.ended;
    assert.equal(status, 1, stderr);
    const line = stderr.trim().split('\n').at(-1)!;
    assert.match(line, /^clipself: WebGPU: the graphics card was lost: its driver restarted/);
    assert.match(line, /what has saved checkpoints goes on from the last one when started again/);
    assert.equal((await summariseRun(folder.file('run'))).state, 'failed');

    await rm(folder.file('lost'));
    const again = await start().ended;
    assert.equal(again.status, 0, again.stderr);
    const summary = await summariseRun(folder.file('run'));
    assert.equal(summary.state, 'finished');
    const { steps } = await readMetricHistory(runFiles(folder.file('run')).metrics);
    assert.deepEqual(
      steps.map(({ step }) => step),
      Array.from({ length: summary.totalSteps }, (_, index) => index + 1),
    );
    assert.match(
      await readFile(runFiles(folder.file('run')).log, 'utf8'),
      /resumed after step \d*[02468] of/,
    );
  });
});
