import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { LineLog, type LineReader, readLineLog } from '../../trainer/checkpoints/lineLog.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

/** Reads lines `{"n": 0}`, `{"n": 1}`, … of work named `key`. */
const counting = (key: string): LineReader<number> => ({
  begins: header => (header as { key?: string } | null)?.key === key,
  entryOf: (value, index) => ((value as { n?: number } | null)?.n === index ? index : null),
});

describe('a log of lines', () => {
  let folder: TemporaryFolder;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  /** Adds the entries up to `end` that are missing, as one process does. @returns what was there. */
  async function write(file: string, key: string, end: number): Promise<number[]> {
    const past = await readLineLog(file, counting(key));
    const log = await LineLog.open(file, { key }, past);
    for (let n = past?.entries.length ?? 0; n < end; n++) await log.add({ n });
    await log.close();
    return past?.entries ?? [];
  }

  it('goes on where it was left, in a folder that it makes', async () => {
    const file = folder.file('deep/work.jsonl');
    assert.equal(await readLineLog(file, counting('a')), null);
    assert.deepEqual(await write(file, 'a', 2), []);
    assert.deepEqual(await write(file, 'a', 3), [0, 1]);
    const whole = '{"key":"a"}\n{"n":0}\n{"n":1}\n{"n":2}\n';
    assert.equal(await readFile(file, 'utf8'), whole);
    assert.deepEqual(await readLineLog(file, counting('a')), { entries: [0, 1, 2], bytes: whole.length });
  });

  it('cuts off a torn line, and all from the first entry on that does not count', async () => {
    const file = folder.file('work.jsonl');
    for (const rest of ['{"n":', '{"n":2}', '{"n":7}\n{"n":2}\n', 'no JSON\n{"n":2}\n']) {
      await writeFile(file, `{"key":"a"}\n{"n":0}\n{"n":1}\n${rest}`);
      assert.deepEqual(await write(file, 'a', 3), [0, 1], rest);
      assert.equal(await readFile(file, 'utf8'), '{"key":"a"}\n{"n":0}\n{"n":1}\n{"n":2}\n');
    }
  });

  it('begins anew for other work, and where the first line was torn', async () => {
    const file = folder.file('work.jsonl');
    await write(file, 'a', 2);
    assert.deepEqual(await write(file, 'b', 1), []);
    assert.equal(await readFile(file, 'utf8'), '{"key":"b"}\n{"n":0}\n');
    await writeFile(file, '{"key":"b"');
    assert.deepEqual(await write(file, 'b', 0), []);
    assert.equal(await readFile(file, 'utf8'), '{"key":"b"}\n');
  });

  it('goes away when the work is done', async () => {
    const file = folder.file('work.jsonl');
    const log = await LineLog.open(file, { key: 'a' }, null);
    await log.close();
    await log.remove();
    await log.remove();
    assert.equal(await readLineLog(file, counting('a')), null);
  });

  it('names the file that cannot be written', async () => {
    await writeFile(folder.file('plain'), '');
    await assert.rejects(LineLog.open(folder.file('plain/work.jsonl'), {}, null), /plain.*cannot write/);
  });
});
