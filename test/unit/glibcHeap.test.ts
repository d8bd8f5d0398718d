import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { createEngine } from '../../trainer/engines/createEngine.ts';
import { keepFreedMemory } from '../../trainer/engines/onnx/glibcHeap.ts';
import { skipBecause } from '../support/skip.ts';

const program = path.join(import.meta.dirname, '../support/pageFaults.ts');

interface Measured {
  faults: number;
  /** Of a program of small tensors. */
  arena: boolean;
}

async function measure(environment: NodeJS.ProcessEnv = {}): Promise<{ before: Measured; after: Measured }> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', program], {
    env: { ...process.env, ...environment },
  });
  return JSON.parse(stdout);
}

describe('memory that is free between two tensors', () => {
  const onGlibc = process.platform === 'linux' && 'glibcVersionRuntime' in processHeader();

  it('stays with the process where it is told so, so that few pages are mapped anew', async function () {
    if (!onGlibc) skipBecause(this, 'the C library is not glibc');
    const { before, after } = await measure();
    assert.deepEqual([before.arena, after.arena], [true, false]);
    // A tensor of 64 MB takes 15,625 pages of 4 KiB, a few dozen where the system makes them large by itself.
    if (before.faults < 15_000) skipBecause(this, 'the system makes large pages by itself');
    assert.ok(after.faults < before.faults / 4, `${after.faults} page faults instead of ${before.faults}`);
  }).timeout(30_000);

  it('is shared by the programs of every engine that commands start on a processor', async function () {
    if (!onGlibc) skipBecause(this, 'the C library is not glibc');
    const engine = await createEngine('cpu', 1);
    assert.equal(engine.sharesMemory, keepFreedMemory());
    await engine.dispose();
  });

  it('is left to whom the environment has given it', async function () {
    if (!onGlibc) skipBecause(this, 'the C library is not glibc');
    const { before, after } = await measure({ MALLOC_MMAP_THRESHOLD_: String(2 ** 20) });
    assert.deepEqual([before.arena, after.arena], [true, true]);
    if (before.faults < 15_000) skipBecause(this, 'the system makes large pages by itself');
    assert.ok(after.faults > 15_000, `${after.faults} page faults`);
  }).timeout(30_000);

  it('is not touched in Electron, nor where the environment has chosen', () => {
    assert.equal(keepFreedMemory({}, { ...process.versions, electron: '40.0.0' }), false);
    for (const name of ['MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_THRESHOLD_', 'GLIBC_TUNABLES'])
      assert.equal(keepFreedMemory({ [name]: '1' }), false);
  });
});

/** What Node knows of the system it runs on. */
function processHeader(): object {
  const report = process.report.getReport() as { header: object };
  return report.header;
}
