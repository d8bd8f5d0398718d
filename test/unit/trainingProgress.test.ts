import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { RunLog } from '../../trainer/runs/runLog.ts';
import { formatDuration, progressLine, StepClock } from '../../trainer/training/progress.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

describe('progress of a training run', () => {
  it('shows seconds as hours, minutes and seconds', () => {
    const shown = [0, 0.4, 12, 59.6, 187, 3599.4, 3599.6, 3729, 360_000, -3].map(formatDuration);
    assert.deepEqual(shown, [
      ...['0:00', '0:00', '0:12', '1:00', '3:07', '59:59', '1:00:00', '1:02:09', '100:00:00', '0:00'],
    ]);
  });

  it('estimates the remaining seconds from the latest 20 steps', () => {
    const clock = new StepClock(100);
    assert.equal(clock.remainingSeconds(0), 0);
    clock.add(4);
    assert.equal(clock.remainingSeconds(1), 4 * 99);
    clock.add(2);
    assert.equal(clock.remainingSeconds(2), 3 * 98);
    for (let step = 0; step < 20; step++) clock.add(0.5);
    assert.equal(clock.remainingSeconds(90), 5);
    assert.equal(clock.remainingSeconds(100), 0);
  });

  it('puts a step on one line', () => {
    const record = {
      step: 12,
      epoch: 1,
      loss: 0.41234,
      lr: 1e-5,
      gradNorm: 1.5,
      imagesPerSecond: 3.2049,
      memoryMib: 512,
      time: 0,
    };
    assert.equal(
      progressLine(record, { totalSteps: 60 }, 72),
      'step 12/60  epoch 1  loss 0.4123  lr 1.00e-5  3.20 images/s  512 MiB  1:12 left',
    );
  });

  describe('log', () => {
    it('writes each message on a line of its own, with time and level', async () => {
      const folder = await temporaryFolder();
      try {
        const said: string[] = [];
        const log = new RunLog({ write: text => said.push(text) });
        log.info('before there is a file');
        log.attach(folder.file('log.txt'));
        log.info('one');
        log.warn('two');
        log.error('three\r\n  of two lines');
        log.progress('four');
        log.progress('too soon after four');
        assert.deepEqual(said, ['before there is a file\n', 'one\n', 'warning: two\n', 'four\n']);
        const lines = (await readFile(folder.file('log.txt'), 'utf8')).split('\n');
        const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /;
        assert.deepEqual(
          lines.map(line => line.replace(time, '')),
          ['[info] one', '[warning] two', '[error] three of two lines', '[info] four', ''],
        );
        for (const line of lines.slice(0, -1)) assert.match(line, time);
      } finally {
        await folder.remove();
      }
    });

    it('overwrites progress on a terminal and cuts it to its width', () => {
      const said: string[] = [];
      const log = new RunLog({ isTTY: true, columns: 30, write: text => said.push(text) });
      log.progress('step 1');
      log.progress('x'.repeat(60));
      log.info('done');
      log.endProgress();
      assert.deepEqual(said, ['\r\x1b[Kstep 1', `\r\x1b[K${'x'.repeat(29)}`, '\n', 'done\n']);
    });

    it('outlives a log file that cannot be written', () => {
      const said: string[] = [];
      const log = new RunLog({ write: text => said.push(text) });
      log.attach('/nowhere/at/all/log.txt');
      log.info('one');
      log.warn('two');
      assert.deepEqual(said, ['one\n', 'warning: two\n']);
    });
  });
});
