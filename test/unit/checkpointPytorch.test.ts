import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { openCheckpoint, readCheckpoint } from '../../trainer/checkpoints/checkpoint.ts';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { requireFinite } from '../../trainer/checkpoints/finiteWeights.ts';
import { type HostTensor, viewAs } from '../../trainer/checkpoints/hostTensor.ts';
import { writePytorch } from '../../trainer/checkpoints/pytorchWriter.ts';
import { readSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import {
  dictionary,
  global,
  integer,
  pickle,
  storage,
  tensor,
  text,
  writeArchive,
} from '../support/pickles.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/checkpoints/${name}`, import.meta.url));
const openAiWeights = fileURLToPath(new URL('../fixtures/openai_vit/weights.safetensors', import.meta.url));

const numbers = ({ shape, dtype, data }: HostTensor): unknown => ({ shape, dtype, data: [...data] });

const bytesOfFloats = (...values: number[]): Uint8Array =>
  new Uint8Array(Float32Array.from(values).buffer.slice(0));

describe('PyTorch checkpoints', () => {
  let folder: TemporaryFolder;
  let file: string;

  beforeEach(async () => {
    folder = await temporaryFolder();
    file = folder.file('x.pt');
  });

  afterEach(() => folder.remove());

  const refuses = async (work: Promise<unknown>, pattern: RegExp): Promise<void> =>
    assert.rejects(work, (error: unknown) => {
      assert.ok(error instanceof FileError, `${String(error)} is not a FileError`);
      assert.match(error.message, pattern);
      return true;
    });

  /** An archive whose data.pkl is `value` and whose storages are given. */
  const write = (value: Uint8Array, storages: Record<string, Uint8Array> = {}): Promise<void> =>
    writeArchive(file, {
      'data.pkl': pickle(value),
      ...Object.fromEntries(Object.entries(storages).map(([key, bytes]) => [`data/${key}`, bytes])),
    });

  const vector = tensor(storage('0', 4), 0, [4], [1]);
  const four = { 0: bytesOfFloats(1, 2, 3, 4) };

  it('reads views, shared storages, bfloat16, booleans, integers, scalars and parameters as PyTorch does', async () => {
    const { tensors } = await readCheckpoint(fixture('odd_tensors.pt'));
    const expected = await readSafetensors(fixture('odd_tensors.safetensors'));
    assert.deepEqual([...tensors.keys()].sort(), [...expected.tensors.keys()].sort());
    assert.equal(tensors.get('bf16')!.dtype, 'bfloat16');
    const widened = (await readCheckpoint(fixture('odd_tensors.pt'), { asFloat32: true })).tensors;
    for (const [name, tensor] of expected.tensors) {
      assert.deepEqual(numbers(widened.get(name)!), numbers(tensor), name);
      if (name !== 'bf16') assert.deepEqual(numbers(tensors.get(name)!), numbers(tensor), name);
    }
  });

  it("reads OpenAI's TorchScript archives through their module tree", async () => {
    const { torchscript_keys: expectedNames } = JSON.parse(await readFile(fixture('manifest.json'), 'utf8'));
    const checkpoint = await openCheckpoint(fixture('vit_torchscript.pt'));
    await checkpoint.dispose();
    assert.equal(checkpoint.packaging, 'TorchScript');
    assert.deepEqual([...checkpoint.tensors.keys()].sort(), [...expectedNames].sort());
    const { tensors } = await readCheckpoint(fixture('vit_torchscript.pt'));
    const expected = await readSafetensors(openAiWeights);
    assert.equal(expected.tensors.size, 86);
    for (const [name, tensor] of expected.tensors)
      assert.deepEqual(tensors.get(name)?.data, tensor.data, name);
  });

  it('finds the state dict under the usual keys and takes the wrapper off the names', async () => {
    for (const key of ['state_dict', 'model', 'module']) {
      const inner = dictionary({ 'module.a': vector, 'module.b': tensor(storage('0', 4), 1, [2], [2]) });
      await write(
        dictionary({ epoch: integer(3), name: text('mine'), optimizer: dictionary({}), [key]: inner }),
        four,
      );
      const { tensors, metadata } = await readCheckpoint(file);
      assert.deepEqual([...tensors.keys()], ['a', 'b']);
      assert.deepEqual([...tensors.get('b')!.data], [2, 4]);
      assert.deepEqual(metadata, { epoch: '3', name: 'mine' });
    }
    await write(dictionary({ 'module.a': vector, b: vector }), four);
    assert.deepEqual([...(await readCheckpoint(file)).tensors.keys()], ['module.a', 'b']);
  });

  it('reads every element type of PyTorch', async () => {
    for (const [type, dtype, width] of [
      ['DoubleStorage', 'float64', 8],
      ['FloatStorage', 'float32', 4],
      ['HalfStorage', 'float16', 2],
      ['BFloat16Storage', 'bfloat16', 2],
      ['LongStorage', 'int64', 8],
      ['IntStorage', 'int32', 4],
      ['ShortStorage', 'int16', 2],
      ['CharStorage', 'int8', 1],
      ['ByteStorage', 'uint8', 1],
      ['BoolStorage', 'bool', 1],
    ] as const) {
      const bytes = Uint8Array.from({ length: 6 * width }, (_, index) =>
        dtype === 'bool' ? index & 1 : index,
      );
      await write(dictionary({ x: tensor(storage('0', 6, type), 0, [3, 2], [1, 3]) }), { 0: bytes });
      const read = (await readCheckpoint(file)).tensors.get('x')!;
      assert.equal(read.dtype, dtype);
      const source = viewAs(dtype, bytes.buffer);
      assert.deepEqual(
        [...read.data],
        [0, 3, 1, 4, 2, 5].map(index => source[index]),
        type,
      );
    }
  });

  it('keeps what is not a number: NaN and infinities are data', async () => {
    await write(dictionary({ x: vector }), { 0: bytesOfFloats(Number.NaN, Number.POSITIVE_INFINITY, -0, 1) });
    assert.deepEqual(
      [...(await readCheckpoint(file)).tensors.get('x')!.data],
      [Number.NaN, Number.POSITIVE_INFINITY, -0, 1],
    );
  });

  it('refuses legacy files, other archives and files of another byte order, with a way out', async () => {
    await refuses(
      openCheckpoint(fixture('odd_tensors_legacy.pt')),
      /odd_tensors_legacy\.pt: it is a legacy PyTorch file .*torch\.save\(torch\.load\(/,
    );
    await writeFile(file, 'not even a pickle');
    await refuses(openCheckpoint(file), /not a valid PyTorch file: it is not a zip archive/);
    await writeFile(file, 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n');
    await refuses(openCheckpoint(file), /a Git LFS pointer.*git lfs pull/);
    await writeArchive(file, { 'other.txt': Buffer.from('x') });
    await refuses(openCheckpoint(file), /holds no data\.pkl/);
    await writeArchive(file, {
      'data.pkl': pickle(dictionary({ x: vector })),
      byteorder: Buffer.from('big'),
    });
    await refuses(openCheckpoint(file), /byte order is 'big'/);
    await writeFile(file, '');
    await refuses(openCheckpoint(file), /not a zip archive/);
  });

  it('refuses programs by name', async () => {
    await write(
      Buffer.concat([global('os', 'system'), Buffer.from('('), text('touch /tmp/x'), Buffer.from('tR')]),
    );
    await refuses(openCheckpoint(file), /its pickle is refused: it asks for 'os\.system'.*can run programs/);
    await write(text('x'));
    await refuses(openCheckpoint(file), /holds a string instead of a dict of tensors/);
    await write(dictionary({ epoch: integer(1) }));
    await refuses(openCheckpoint(file), /it holds no tensors/);
  });

  it('refuses storages that are missing, of the wrong length or absurdly shared', async () => {
    await write(dictionary({ x: vector }));
    await refuses(openCheckpoint(file), /lacks the entry 'data\/0'/);
    await write(dictionary({ x: vector }), { 0: bytesOfFloats(1, 2, 3) });
    await refuses(
      openCheckpoint(file),
      /storage '0' of tensor 'x' has 12 bytes; 4 elements of float32 take 16/,
    );
    await write(dictionary({ x: tensor(storage('../../etc/passwd', 4), 0, [4], [1]) }), four);
    await refuses(openCheckpoint(file), /lacks the entry 'data\/\.\.\/\.\.\/etc\/passwd'/);
    const whole = tensor(storage('0', 1 << 19), 0, [1 << 19], [1]);
    const many = dictionary(
      Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`t${index}`, whole])),
    );
    await write(many, { 0: new Uint8Array(1 << 21) });
    await refuses(openCheckpoint(file), /its tensors would take 83886080 bytes, and the file has 2\d+/);
  });

  it('refuses cut and doctored archives', async () => {
    const { length } = await readFile(fixture('odd_tensors.pt'));
    for (const size of [3, 64, 900, length - 1, length - 100]) {
      await copyFile(fixture('odd_tensors.pt'), file);
      await truncate(file, size);
      await refuses(openCheckpoint(file), /not a valid PyTorch file/);
    }
    // Both storages made to lie at the offset of the first: the directory's entry of data/1 points at data/0.
    await write(dictionary({ a: vector, b: tensor(storage('1', 4), 0, [4], [1]) }), {
      0: four[0],
      1: four[0],
    });
    const bytes = await readFile(file);
    const entry = (name: string): number => bytes.lastIndexOf(`archive/${name}`) - 46;
    bytes.copyWithin(entry('data/1') + 42, entry('data/0') + 42, entry('data/0') + 46);
    await writeFile(file, bytes);
    await refuses(openCheckpoint(file), /storage '1' overlaps the one before it/);
  });

  it('refuses weights that are not finite, naming the tensor', () => {
    requireFinite('w.pt', 'a', Float32Array.of(0, -1e38, 3e38, 1e-45));
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      assert.throws(
        () => requireFinite('w.pt', 'visual.proj', Float32Array.of(1, 2, value, 3)),
        new RegExp(
          `^FileError: w\\.pt: tensor 'visual\\.proj' holds ${value} at element 2, so every feature`,
        ),
      );
  });

  it('takes little more memory than the tensors themselves', async function () {
    this.timeout(60_000);
    const count = 48 << 20;
    const names = ['a', 'b', 'c', 'd'];
    const each = count / names.length;
    const quarter = { shape: [each], dtype: 'float32', data: new Float32Array(each) } as const;
    await writePytorch(file, new Map(names.map(name => [name, quarter])));
    const module = new URL('../../trainer/checkpoints/checkpoint.ts', import.meta.url).href;
    const peak = new URL('../support/peakMemory.ts', import.meta.url).href;
    const script = `
      const { peakMemory } = await import(${JSON.stringify(peak)});
      const { openCheckpoint, readCheckpoint } = await import(${JSON.stringify(module)});
      const before = peakMemory();
      await (await openCheckpoint(${JSON.stringify(file)})).dispose();
      const opened = peakMemory() - before;
      const { tensors } = await readCheckpoint(${JSON.stringify(file)});
      console.log(JSON.stringify({ opened, read: peakMemory() - before, count: tensors.size }));
    `;
    const output = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: repository,
    });
    const { opened, read, count: found } = JSON.parse(output.toString());
    assert.equal(found, 4);
    assert.ok(opened < 32 << 20, `opening took ${opened} bytes`);
    assert.ok(read / (4 * count) > 0.9 && read / (4 * count) < 1.3, `reading took ${read} bytes`);
  });

  it('names a missing tensor, and closes its file', async () => {
    const checkpoint = await openCheckpoint(fixture('odd_tensors.pt'));
    await assert.rejects(checkpoint.read('none'), /holds no tensor 'none'/);
    await checkpoint.dispose();
    await assert.rejects(checkpoint.read('t'));
  });
});
