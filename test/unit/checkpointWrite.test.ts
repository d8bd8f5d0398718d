import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { openCheckpoint, readCheckpoint } from '../../trainer/checkpoints/checkpoint.ts';
import { crc32, crc32OfBytes } from '../../trainer/checkpoints/crc32.ts';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import type { HostTensor } from '../../trainer/checkpoints/hostTensor.ts';
import { writePytorch } from '../../trainer/checkpoints/pytorchWriter.ts';
import { writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { findPeerPython, runPython } from '../support/peerPython.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/checkpoints/${name}`, import.meta.url));

const bytes = ({ data }: HostTensor): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

describe('written PyTorch checkpoints', () => {
  let folder: TemporaryFolder;
  let file: string;

  beforeEach(async () => {
    folder = await temporaryFolder();
    file = folder.file('x.pt');
  });

  afterEach(() => folder.remove());

  it('read back bit for bit, whatever the element type', async () => {
    const { tensors } = await readCheckpoint(fixture('odd_tensors.pt'));
    tensors.set('half', { shape: [2], dtype: 'float16', data: Uint16Array.of(0x3c00, 0x7e01) });
    tensors.set('i8', { shape: [1, 3], dtype: 'int8', data: Int8Array.of(-1, 0, 1) });
    await writePytorch(file, tensors);
    const read = (await readCheckpoint(file)).tensors;
    assert.deepEqual([...read.keys()], [...tensors.keys()]);
    for (const [name, tensor] of tensors) {
      assert.equal(read.get(name)!.dtype, tensor.dtype);
      assert.deepEqual(read.get(name)!.shape, tensor.shape);
      assert.ok(bytes(read.get(name)!).equals(bytes(tensor)), name);
    }
  });

  it('are the same bytes for the same tensors, with aligned data', async () => {
    const data = Float32Array.of(1, 2, 3);
    await writePytorch(file, new Map([['x', { shape: [3], dtype: 'float32', data }]]));
    await writePytorch(folder.file('y.pt'), new Map([['x', { shape: [3], dtype: 'float32', data }]]));
    const content = await readFile(file);
    assert.ok(content.equals(await readFile(folder.file('y.pt'))));
    assert.equal(content.indexOf(Buffer.from(data.buffer)) % 64, 0);
    assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926);
  });

  it("load with PyTorch's weights_only", async function () {
    // Loading PyTorch takes seconds.
    this.timeout(120_000);
    const python = await findPeerPython();
    if (python === null)
      skipBecause(this, 'no Python with PyTorch (set CLIPSELF_PEER_PYTHON): not checked against it');
    const { tensors } = await readCheckpoint(fixture('odd_tensors.pt'));
    await writePytorch(file, tensors);
    const program = `
import json, sys, torch
ours = torch.load(sys.argv[1], weights_only=True)['state_dict']
theirs = torch.load(sys.argv[2], weights_only=True)
print(json.dumps({k: bool(torch.equal(ours[k], v) and ours[k].dtype == v.dtype and ours[k].shape == v.shape and ours[k].is_contiguous()) for k, v in theirs.items()}))
`;
    const found = JSON.parse(await runPython(python, program, [file, fixture('odd_tensors.pt')]));
    assert.deepEqual(found, Object.fromEntries([...tensors.keys()].map(name => [name, true])));
  });

  it('read what PyTorch writes today', async function () {
    // Loading PyTorch takes seconds.
    this.timeout(120_000);
    const python = await findPeerPython();
    if (python === null)
      skipBecause(this, 'no Python with PyTorch (set CLIPSELF_PEER_PYTHON): not checked against it');
    const program = `
import sys, torch
base = torch.arange(24, dtype=torch.float64).reshape(2, 3, 4)
torch.save({'model': {'module.a': base.permute(2, 0, 1), 'module.b': base[:, ::2, 1:3], 'module.c': torch.nn.Parameter(base[0].half())}}, sys.argv[1])
torch.save({'a': base}, sys.argv[1] + '.pt', pickle_protocol=5)
`;
    await runPython(python, program, [file]);
    const { tensors } = await readCheckpoint(file, { asFloat32: true });
    const values = (name: string): number[] => [...tensors.get(name)!.data].map(Number);
    assert.deepEqual(values('a').slice(0, 6), [0, 4, 8, 12, 16, 20]);
    assert.deepEqual(values('b'), [1, 2, 9, 10, 13, 14, 21, 22]);
    assert.deepEqual(values('c'), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const modern = (await readCheckpoint(`${file}.pt`)).tensors;
    assert.deepEqual(
      [...modern.get('a')!.data],
      Array.from({ length: 24 }, (_, index) => index),
    );
  });

  it('have the same checksums with and without help of Node', () => {
    assert.equal(crc32OfBytes(Buffer.from('123456789')), 0xcbf43926);
    const bytes = Uint8Array.from({ length: 1000 }, (_, index) => (index * 131) >> 3);
    assert.equal(crc32(bytes), crc32OfBytes(bytes));
  });

  it('leave the old file alone when a tensor cannot be written', async () => {
    await writeFile(file, 'old');
    const wide = { shape: [1], dtype: 'uint64', data: new BigUint64Array(1) } as const;
    await assert.rejects(writePytorch(file, new Map([['x', wide]])), (error: unknown) => {
      assert.ok(error instanceof FileError);
      return /no storage of uint64 \(tensor 'x'\)/.test(error.message);
    });
    const short = { shape: [3], dtype: 'float32', data: new Float32Array(2) } as const;
    await assert.rejects(writePytorch(file, new Map([['x', short]])), /does not fill its shape \[3\]/);
    assert.equal(await readFile(file, 'utf8'), 'old');
    assert.deepEqual(await readdir(folder.path), ['x.pt']);
  });

  it('open by their content where the name does not tell', async () => {
    const tensor = { shape: [1], dtype: 'float32', data: Float32Array.of(5) } as const;
    await writePytorch(folder.file('weights'), new Map([['x', tensor]]));
    await writeSafetensors(folder.file('others'), { x: tensor });
    for (const [name, packaging] of [
      ['weights', 'PyTorch'],
      ['others', 'safetensors'],
    ] as const) {
      const checkpoint = await openCheckpoint(folder.file(name));
      assert.equal(checkpoint.packaging, packaging);
      assert.deepEqual((await checkpoint.read('x')).data, tensor.data);
      await checkpoint.dispose();
    }
  });
});
