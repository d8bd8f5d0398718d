/** Opening checkpoints of 5 GB, which are holes in files and take no space, in a process of its own that is measured. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type FileHandle, open, truncate, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { writeZip, type ZipEntry } from '../../trainer/checkpoints/zipWriter.ts';
import { dictionary, pickle, storage, tensor } from '../support/pickles.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const count = 20;
/** 256 MiB each. */
const elements = 1 << 26;
const bytesEach = 4 * elements;

async function writeSparseSafetensors(file: string): Promise<void> {
  const header: Record<string, unknown> = {};
  for (let index = 0; index < count; index++)
    header[`w${index}`] = {
      ...{ dtype: 'F32', shape: [elements] },
      data_offsets: [index * bytesEach, (index + 1) * bytesEach],
    };
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  await writeFile(file, Buffer.concat([length, json]));
  await truncate(file, 8 + json.length + count * bytesEach);
}

/** An archive as PyTorch writes it, whose storages are skipped instead of written. */
async function writeSparsePytorch(file: string): Promise<void> {
  const zeros = Buffer.alloc(bytesEach);
  const state = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `w${index}`,
      tensor(storage(String(index), elements), 0, [elements], [1]),
    ]),
  );
  const entries: ZipEntry[] = [
    { name: 'archive/data.pkl', bytes: pickle(dictionary(state)) },
    { name: 'archive/byteorder', bytes: Buffer.from('little') },
    ...Array.from({ length: count }, (_, index) => ({ name: `archive/data/${index}`, bytes: zeros })),
    { name: 'archive/version', bytes: Buffer.from('3\n') },
  ];
  const handle = await open(file, 'w');
  try {
    let position = 0;
    const write = async (bytes: Uint8Array, offset: number, length: number) => {
      if (bytes !== zeros) await handle.write(bytes, offset, length, position);
      position += length;
      return { bytesWritten: length, buffer: bytes };
    };
    await writeZip({ write } as unknown as FileHandle, entries);
  } finally {
    await handle.close();
  }
}

describe('checkpoints of 5 GB', function () {
  this.timeout(120_000);
  let folder: TemporaryFolder;

  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  for (const [name, write] of [
    ['model.safetensors', writeSparseSafetensors],
    ['model.pt', writeSparsePytorch],
  ] as const)
    it(`are opened with less than 200 MB: ${name}`, async () => {
      const file = folder.file(name);
      await write(file);
      const module = new URL('../../trainer/checkpoints/checkpoint.ts', import.meta.url).href;
      const peakModule = new URL('../support/peakMemory.ts', import.meta.url).href;
      const script = `
        const { peakMemory } = await import(${JSON.stringify(peakModule)});
        const { openCheckpoint } = await import(${JSON.stringify(module)});
        const started = performance.now();
        const checkpoint = await openCheckpoint(${JSON.stringify(file)});
        const milliseconds = performance.now() - started;
        const shapes = [...checkpoint.tensors.values()].map(({ shape }) => shape[0]);
        await checkpoint.dispose();
        console.log(JSON.stringify({ shapes, milliseconds, peak: peakMemory() }));
      `;
      const node = ['--import', 'tsx', '--input-type=module', '-e', script];
      const output = execFileSync(process.execPath, node, { cwd: repository }).toString();
      const { shapes, milliseconds, peak } = JSON.parse(output) as {
        shapes: number[];
        milliseconds: number;
        peak: number;
      };
      assert.deepEqual(shapes, new Array(count).fill(elements));
      assert.ok(peak < 200e6, `the process took ${peak} bytes`);
      assert.ok(milliseconds < 1000, `opening took ${milliseconds} ms`);
    });
});
