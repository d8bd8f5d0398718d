import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { physicalCores } from '../../trainer/engines/physicalCores.ts';

describe('physical cores', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'clipself-cores-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function processor(index: number, siblings: string): Promise<void> {
    const topology = path.join(folder, `cpu${index}`, 'topology');
    await mkdir(topology, { recursive: true });
    await writeFile(path.join(topology, 'thread_siblings_list'), `${siblings}\n`);
  }

  it('counts the hardware threads of a core once', async () => {
    const usable = os.availableParallelism();
    for (let index = 0; index < 2 * usable; index++)
      await processor(index, `${index % usable},${usable + (index % usable)}`);
    await mkdir(path.join(folder, 'cpufreq'));
    assert.equal(physicalCores(folder), usable);
  });

  it('counts one core that all threads share', async () => {
    for (const index of [0, 1, 2, 3]) await processor(index, '0-3');
    assert.equal(physicalCores(folder), 1);
  });

  it('takes every thread where the system does not tell', async () => {
    assert.equal(physicalCores(path.join(folder, 'none')), os.availableParallelism());
    assert.equal(physicalCores(folder), os.availableParallelism());
    await mkdir(path.join(folder, 'cpu0'));
    assert.equal(physicalCores(folder), os.availableParallelism());
  });
});
