import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import type { EventRecord, MetricRecord, StepRecord } from '../../trainer/protocol.ts';
import { formatMetricRecord, MetricHistory, parseMetricLine } from '../../trainer/runs/metricRecords.ts';
import { MetricTail, MetricWriter, readMetricHistory } from '../../trainer/runs/metrics.ts';
import { skipBecause } from '../support/skip.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

function stepRecord(step: number, loss = 0.5): StepRecord {
  return {
    step,
    epoch: 1,
    loss,
    lr: 1e-5,
    gradNorm: 2,
    imagesPerSecond: 3,
    memoryMib: 400,
    time: 1000 + step,
  };
}

function eventRecord(kind: EventRecord['event']['kind'], step: number): EventRecord {
  return { event: { kind, step, time: 1000 + step } };
}

describe('metrics', () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'metrics-'));
    file = path.join(folder, 'metrics.jsonl');
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  const append = (...records: MetricRecord[]) => appendFile(file, records.map(formatMetricRecord).join(''));

  describe('lines', () => {
    it('read back what was written', () => {
      const evaluation = { eval: { epoch: 1, step: 4, time: 9, 'heldOut.cosine': 0.25 } };
      const event: EventRecord = {
        event: { kind: 'failed', step: 3, time: 5, message: 'line one\nline two' },
      };
      for (const record of [stepRecord(7), evaluation, event]) {
        const line = formatMetricRecord(record);
        assert.equal(line.indexOf('\n'), line.length - 1);
        assert.deepEqual(parseMetricLine(line), record);
      }
    });

    it('write numbers that are not finite as null and read them as NaN', () => {
      const line = formatMetricRecord(stepRecord(1, Number.NaN));
      assert.equal(JSON.parse(line).loss, null);
      assert.deepEqual(parseMetricLine(line), stepRecord(1, Number.NaN));
    });

    const worthless: [what: string, line: string][] = [
      ['nothing', ''],
      ['a torn record', '{"step":12,"epo'],
      ['an array', '[1]'],
      ['a number', '7'],
      ['null', 'null'],
      ['a foreign object', '{"hello":1}'],
      ['a step that is not whole', formatMetricRecord({ ...stepRecord(1), step: 1.5 })],
      ['a negative step', formatMetricRecord({ ...stepRecord(1), step: -1 })],
      ['a loss as text', formatMetricRecord(stepRecord(1)).replace('0.5', '"0.5"')],
      ['an unknown event', '{"event":{"kind":"exploded","step":1,"time":1}}'],
      ['an evaluation without time', '{"eval":{"epoch":1}}'],
    ];
    for (const [what, line] of worthless) {
      it(`with ${what} are skipped`, () => assert.equal(parseMetricLine(line), null));
    }

    it('never throw', () => {
      const json = fc.json({ maxDepth: 4 });
      const keys = fc.constantFrom(
        'step',
        'epoch',
        'loss',
        'lr',
        'gradNorm',
        'eval',
        'event',
        'kind',
        'time',
        '__proto__',
      );
      const object = fc.dictionary(keys, fc.oneof(fc.jsonValue(), fc.integer(), fc.constant('stopped')));
      fc.assert(
        fc.property(
          fc.oneof(
            json,
            fc.string(),
            object.map(value => JSON.stringify(value)),
          ),
          line => void parseMetricLine(line),
        ),
      );
    });
  });

  describe('history', () => {
    it('voids what a resumed trainer does again', () => {
      const history = new MetricHistory();
      history.addAll([eventRecord('started', 0), stepRecord(1), stepRecord(2), stepRecord(3)]);
      history.add({ eval: { epoch: 1, step: 3, time: 1, x: 1 } });
      history.addAll([eventRecord('resumed', 2), stepRecord(3, 0.25)]);
      assert.deepEqual(
        history.steps.map(({ step, loss }) => [step, loss]),
        [
          [1, 0.5],
          [2, 0.5],
          [3, 0.25],
        ],
      );
      assert.deepEqual(history.evaluations, []);
      assert.deepEqual(
        history.events.map(({ event }) => event.kind),
        ['started', 'resumed'],
      );
    });
  });

  describe('writer', () => {
    it('appends, and closes a line that was torn', async () => {
      await writeFile(file, `${formatMetricRecord(stepRecord(1))}{"step":2,"ep`);
      const writer = MetricWriter.open(file);
      writer.write(stepRecord(2));
      writer.write(stepRecord(3));
      writer.dispose();
      writer.dispose();
      const again = MetricWriter.open(file);
      again.write(eventRecord('finished', 3));
      again.dispose();
      const lines = (await readFile(file, 'utf8')).split('\n');
      assert.equal(lines.length, 6);
      const history = await readMetricHistory(file);
      assert.deepEqual(history.steps, [stepRecord(1), stepRecord(2), stepRecord(3)]);
      assert.deepEqual(history.events, [eventRecord('finished', 3)]);
    });

    it('names a full disk and a path that is no place for a file', async function () {
      assert.throws(() => MetricWriter.open(path.join(folder, 'none', 'metrics.jsonl')), FileError);
      if (process.platform !== 'linux') skipBecause(this, 'only Linux has /dev/full');
      await symlink('/dev/full', file);
      const writer = MetricWriter.open(file);
      assert.throws(
        () => writer.write(stepRecord(1)),
        (error: unknown) =>
          error instanceof FileError && /metrics\.jsonl: cannot write: the disk is full/.test(error.message),
      );
      writer.dispose();
    });

    it('has every record on file when the process is killed', async function () {
      this.timeout(20_000);
      const module = new URL('../../trainer/runs/metrics.ts', import.meta.url).href;
      const script = `
        const { MetricWriter } = await import(${JSON.stringify(module)});
        const writer = MetricWriter.open(${JSON.stringify(file)});
        for (let step = 1; step <= 500; step++) {
          writer.write({ ...${JSON.stringify(stepRecord(0))}, step });
        }
        process.kill(process.pid, 'SIGKILL');
      `;
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
        cwd: repository,
      });
      const [, signal] = await once(child, 'close');
      assert.equal(signal, 'SIGKILL');
      assert.equal((await readMetricHistory(file)).steps.length, 500);
    });
  });

  describe('tail', () => {
    it('waits for the file and reads each record once', async () => {
      const tail = new MetricTail(file);
      assert.deepEqual(await tail.readNew(), []);
      await append(stepRecord(1), stepRecord(2));
      assert.deepEqual(await tail.readNew(), [stepRecord(1), stepRecord(2)]);
      assert.deepEqual(await tail.readNew(), []);
      await append(eventRecord('stopped', 2));
      assert.deepEqual(await tail.readNew(), [eventRecord('stopped', 2)]);
      assert.equal(tail.restarts, 0);
    });

    it('waits for the end of a line, even within a character', async () => {
      const record: EventRecord = { event: { kind: 'warning', step: 1, time: 1, message: '形 is odd' } };
      const bytes = Buffer.from(formatMetricRecord(record));
      const tail = new MetricTail(file);
      for (const byte of bytes.subarray(0, -1)) {
        await appendFile(file, Buffer.of(byte));
        assert.deepEqual(await tail.readNew(), []);
      }
      await appendFile(file, '\n');
      assert.deepEqual(await tail.readNew(), [record]);
    });

    it('gives calls that overlap each record once', async () => {
      await append(stepRecord(1), stepRecord(2));
      const tail = new MetricTail(file);
      const results = await Promise.all([tail.readNew(), tail.readNew(), tail.readNew()]);
      assert.deepEqual(results.flat(), [stepRecord(1), stepRecord(2)]);
    });

    it('begins again when the file is cut, replaced or removed', async () => {
      const tail = new MetricTail(file);
      await append(stepRecord(1), stepRecord(2));
      await tail.readNew();
      await truncate(file, 0);
      await append(stepRecord(5));
      assert.deepEqual(await tail.readNew(), [stepRecord(5)]);
      assert.equal(tail.restarts, 1);
      // A longer file of the same name, as after copying another run over this one.
      await writeFile(`${file}.new`, [7, 8, 9].map(step => formatMetricRecord(stepRecord(step))).join(''));
      await rename(`${file}.new`, file);
      assert.deepEqual(await tail.readNew(), [stepRecord(7), stepRecord(8), stepRecord(9)]);
      assert.equal(tail.restarts, 2);
      await rm(file);
      assert.deepEqual(await tail.readNew(), []);
      await append(stepRecord(1));
      assert.deepEqual(await tail.readNew(), [stepRecord(1)]);
      assert.equal(tail.restarts, 3);
    });

    it('passes over an endless line and goes on after it', async function () {
      this.timeout(10_000);
      await append(stepRecord(1));
      await appendFile(file, `${'x'.repeat(5 << 20)}`);
      const tail = new MetricTail(file);
      assert.deepEqual(await tail.readNew(), [stepRecord(1)]);
      await appendFile(file, `${'y'.repeat(3 << 20)}\n`);
      await append(stepRecord(2));
      assert.deepEqual(await tail.readNew(), [stepRecord(2)]);
    });

    it('reads the same records however the file grows', async () => {
      const records = Array.from({ length: 40 }, (_, index) => stepRecord(index));
      const bytes = Buffer.from(records.map(formatMetricRecord).join(''));
      const cuts = fc.array(fc.nat(bytes.length), { maxLength: 12 });
      await fc.assert(
        fc.asyncProperty(cuts, async positions => {
          await rm(file, { force: true });
          const tail = new MetricTail(file);
          const read: MetricRecord[] = [];
          let start = 0;
          for (const end of [...positions.sort((a, b) => a - b), bytes.length]) {
            await appendFile(file, bytes.subarray(start, end));
            read.push(...(await tail.readNew()));
            start = end;
          }
          assert.deepEqual(read, records);
          assert.equal(tail.restarts, 0);
        }),
        { numRuns: 40 },
      );
    });
  });
});
