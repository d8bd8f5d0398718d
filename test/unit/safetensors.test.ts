import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import {
  elementBytes,
  type HostTensor,
  type PendingTensor,
  type TensorType,
  viewAs,
} from '../../trainer/checkpoints/hostTensor.ts';
import {
  readSafetensors,
  readSafetensorsHeader,
  writeSafetensors,
} from '../../trainer/checkpoints/safetensors.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const golden = path.join(repository, 'test/fixtures/openai_vit');

/** A file with this header text and so many zero bytes of data. */
function encode(header: string, dataBytes: number): Buffer {
  const json = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(dataBytes)]);
}

function float32(shape: number[], values: number[]): HostTensor {
  return { shape, dtype: 'float32', data: Float32Array.from(values) };
}

describe('safetensors files', () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'safetensors-'));
    file = path.join(folder, 'x.safetensors');
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  const refuses = (pattern: RegExp) => (error: unknown) => {
    assert.ok(error instanceof FileError, `${String(error)} is not a FileError`);
    assert.match(error.message, pattern);
    assert.ok(error.message.startsWith(error.file));
    return true;
  };

  it('reads a golden file as its manifest describes it', async () => {
    const manifest = JSON.parse(await readFile(path.join(golden, 'manifest.json'), 'utf8'));
    const described: Record<string, { shape: number[]; dtype: string }> =
      manifest.files['weights.safetensors'].tensors;
    const { tensors } = await readSafetensors(path.join(golden, 'weights.safetensors'));
    assert.deepEqual([...tensors.keys()].sort(), Object.keys(described).sort());
    for (const [name, { shape, dtype }] of Object.entries(described)) {
      assert.deepEqual(tensors.get(name)!.shape, shape);
      assert.equal(tensors.get(name)!.dtype, dtype);
    }
    const bytes = await readFile(path.join(golden, 'weights.safetensors'));
    const header = await readSafetensorsHeader(path.join(golden, 'weights.safetensors'));
    const entry = header.tensors.get('visual.proj')!;
    const proj = tensors.get('visual.proj')!.data as Float32Array;
    assert.equal(proj[17], bytes.readFloatLE(header.dataStart + entry.begin + 4 * 17));
  });

  it('writes back every byte of a golden file', async () => {
    const source = path.join(golden, 'forward.safetensors');
    const { tensors, metadata } = await readSafetensors(source);
    await writeSafetensors(file, tensors, metadata);
    const again = await readSafetensors(file);
    assert.deepEqual(again.tensors, tensors);
  });

  it('keeps every element type, scalars, empty tensors, odd names and metadata', async () => {
    const types = Object.keys(elementBytes) as TensorType[];
    const tensors = new Map<string, HostTensor>();
    for (const dtype of types) {
      const bytes = Uint8Array.from({ length: 3 * elementBytes[dtype] }, (_, index) => (index * 37) % 127);
      tensors.set(`of ${dtype}`, { shape: [3], dtype, data: viewAs(dtype, bytes.buffer) });
    }
    tensors.set('scalar', { shape: [], dtype: 'float64', data: Float64Array.of(Math.PI) });
    tensors.set('empty', { shape: [4, 0, 2], dtype: 'float32', data: new Float32Array() });
    tensors.set('__proto__', float32([1], [5]));
    tensors.set('quote " and \\ and \u0007 and 漢字', float32([2], [1, 2]));
    const metadata = { format: 'pt', 'a "key"': 'line\nbreak' };
    await writeSafetensors(file, tensors, metadata);
    const content = await readSafetensors(file);
    assert.deepEqual(new Map([...content.tensors].sort()), new Map([...tensors].sort()));
    assert.deepEqual(content.metadata, metadata);
  });

  it('aligns every tensor to its element, the data to 8 bytes, and keeps the order within a width', async () => {
    await writeSafetensors(file, {
      byte: { shape: [3], dtype: 'uint8', data: new Uint8Array(3) },
      second: float32([1], [1]),
      half: { shape: [5], dtype: 'float16', data: new Uint16Array(5) },
      long: { shape: [1], dtype: 'int64', data: BigInt64Array.of(-1n) },
      first: float32([1], [2]),
    });
    const header = await readSafetensorsHeader(file);
    assert.equal(header.dataStart % 8, 0);
    const entries = [...header.tensors.values()].sort((a, b) => a.begin - b.begin);
    assert.deepEqual(
      entries.map(entry => entry.name),
      ['long', 'second', 'first', 'half', 'byte'],
    );
    for (const entry of entries) assert.equal(entry.begin % elementBytes[entry.dtype], 0);
  });

  it('reads only the tensors asked for', async () => {
    await writeSafetensors(file, { a: float32([2], [1, 2]), b: float32([1], [3]) });
    const { tensors } = await readSafetensors(file, { only: name => name === 'b' });
    assert.deepEqual([...tensors], [['b', float32([1], [3])]]);
  });

  it('widens 16-bit and narrows 64-bit floats to float32 and leaves integers', async () => {
    const half = Uint16Array.of(
      0x3c00,
      0xc000,
      0x7bff,
      0x0001,
      0x03ff,
      0x0400,
      0x7c00,
      0xfc00,
      0x7e00,
      0x8000,
      0x3555,
    );
    const brain = Uint16Array.of(0x3f80, 0xc049, 0x7f80, 0x0001);
    await writeSafetensors(file, {
      half: { shape: [11], dtype: 'float16', data: half },
      brain: { shape: [2, 2], dtype: 'bfloat16', data: brain },
      double: { shape: [2], dtype: 'float64', data: Float64Array.of(0.1, 1e300) },
      long: { shape: [1], dtype: 'int64', data: BigInt64Array.of(49407n) },
    });
    const { tensors } = await readSafetensors(file, { asFloat32: true });
    const values = (name: string) => Array.from(tensors.get(name)!.data as Float32Array);
    const expected = [
      1,
      -2,
      65504,
      2 ** -24,
      1023 * 2 ** -24,
      2 ** -14,
      Infinity,
      -Infinity,
      NaN,
      -0,
      0.333251953125,
    ];
    assert.deepEqual(values('half'), expected);
    assert.deepEqual(values('brain'), [1, -3.140625, Infinity, 2 ** -133]);
    assert.deepEqual(values('double'), [Math.fround(0.1), Infinity]);
    assert.deepEqual(tensors.get('brain')!.shape, [2, 2]);
    assert.equal(tensors.get('half')!.dtype, 'float32');
    assert.equal(tensors.get('long')!.dtype, 'int64');
  });

  it('converts tensors longer than one piece', async () => {
    const count = (5 << 20) + 3;
    const data = Uint16Array.from({ length: count }, (_, index) => index & 0x3fff);
    await writeSafetensors(file, { long: { shape: [count], dtype: 'float16', data } });
    const { tensors } = await readSafetensors(file, { asFloat32: true });
    const wide = tensors.get('long')!.data as Float32Array;
    const table = new Map([0x0001, 0x2e66, 0x3c00, 0x3fff].map(bits => [bits, wide[bits]]));
    for (const [bits, value] of table) {
      for (let index = bits; index < count; index += 0x4000) assert.equal(wide[index], value);
    }
    assert.equal(wide[0x3c00], 1);
    assert.equal(wide.length, count);
  });

  const entry = (fields: string) => `{"a":${fields}}`;
  const valid = '"dtype":"F32","shape":[2],"data_offsets":[0,8]';
  const broken: [what: string, header: string, dataBytes: number, pattern: RegExp][] = [
    ['JSON that is not an object', '[]', 0, /expected '{'/],
    ['text after the object', `${entry(`{${valid}}`)}x`, 8, /unexpected text/],
    ['a name twice', `{"a":{${valid}},"a":{${valid}}}`, 8, /"a" is there twice/],
    ['a name twice by an escape', `{"a":{${valid}},"\\u0061":{${valid}}}`, 8, /twice/],
    ['a field twice', entry(`{${valid},"dtype":"F32"}`), 8, /twice/],
    ['an unknown field', entry(`{${valid},"x":1}`), 8, /unknown field "x"/],
    ['a missing field', entry('{"dtype":"F32","shape":[2]}'), 8, /lacks dtype, shape or data_offsets/],
    ['a negative dimension', entry('{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}'), 8, /non-negative/],
    ['a fraction', entry('{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}'), 8, /expected ']'/],
    [
      'an unknown type',
      entry('{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}'),
      8,
      /"F8_E4M3".*not supported/,
    ],
    [
      'a size that does not fit',
      entry('{"dtype":"F32","shape":[3],"data_offsets":[0,8]}'),
      8,
      /does not fit F32 of shape \[3\]/,
    ],
    ['offsets backwards', entry('{"dtype":"U8","shape":[0],"data_offsets":[8,0]}'), 8, /does not fit/],
    [
      'a product beyond 2^53',
      entry('{"dtype":"U8","shape":[9007199254740991,9007199254740991,0],"data_offsets":[0,0]}'),
      0,
      /does not fit/,
    ],
    ['data beyond the file', entry(`{${valid}}`), 7, /cut short: 1 bytes are missing/],
    ['bytes of no tensor', entry(`{${valid}}`), 9, /1 bytes at the end belong to no tensor/],
    ['a hole', entry('{"dtype":"U8","shape":[4],"data_offsets":[4,8]}'), 8, /leaves a hole/],
    [
      'an overlap',
      `{"a":{${valid}},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`,
      12,
      /"b" overlaps/,
    ],
    ['metadata that is not text', '{"__metadata__":{"a":1}}', 0, /expected '"'/],
    ['deep nesting', `{"a":${'['.repeat(100_000)}`, 0, /expected '{'/],
    ['a string that does not end', '{"a', 0, /does not end/],
    [
      'too many dimensions',
      entry(`{"dtype":"U8","shape":[${'1,'.repeat(70)}1],"data_offsets":[0,1]}`),
      1,
      /more than 64/,
    ],
    ['an empty header', '', 0, /expected '{'/],
  ];
  for (const [what, header, dataBytes, pattern] of broken) {
    it(`refuses ${what}`, async () => {
      await writeFile(file, encode(header, dataBytes));
      await assert.rejects(readSafetensors(file), refuses(pattern));
    });
  }

  it('refuses files whose header length is absurd', async () => {
    await writeFile(file, Buffer.from([1, 2, 3]));
    await assert.rejects(readSafetensorsHeader(file), refuses(/3 bytes are too few/));
    await writeFile(file, Buffer.concat([Buffer.alloc(8, 0xff), Buffer.alloc(100)]));
    await assert.rejects(readSafetensorsHeader(file), refuses(/more than the format's 100000000/));
    await writeFile(file, Buffer.from([200, 0, 0, 0, 0, 0, 0, 0, 0x7b]));
    await assert.rejects(readSafetensorsHeader(file), refuses(/header would be 200 bytes in a file of 9/));
    await writeFile(file, Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff]));
    await assert.rejects(readSafetensorsHeader(file), refuses(/not UTF-8/));
  });

  it('survives a header of the largest size in bounded time', async function () {
    this.timeout(20_000);
    await writeFile(file, encode(`{"a":{"dtype":"${'x'.repeat(99_999_000)}`, 0));
    await assert.rejects(readSafetensorsHeader(file), refuses(/does not end/));
  });

  it('throws nothing but FileError on damaged files', async function () {
    this.timeout(60_000);
    await writeSafetensors(
      file,
      { a: float32([2, 3], [1, 2, 3, 4, 5, 6]), b: float32([], [7]) },
      { from: 'here' },
    );
    const intact = await readFile(file);
    const check = async (bytes: Uint8Array) => {
      await writeFile(file, bytes);
      try {
        const { tensors } = await readSafetensors(file, { asFloat32: true });
        for (const { shape, data } of tensors.values()) {
          assert.equal(
            data.length,
            shape.reduce((product, dimension) => product * dimension, 1),
          );
        }
      } catch (error) {
        assert.ok(error instanceof FileError, `${String(error)} is not a FileError`);
      }
    };
    const damage = fc.array(fc.tuple(fc.nat(intact.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(damage, fc.nat(intact.length), async (changes, cut) => {
        const bytes = Buffer.from(intact);
        for (const [position, value] of changes) bytes[position] = value;
        await check(bytes);
        await check(bytes.subarray(0, cut));
      }),
      { numRuns: 300 },
    );
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"dtype"',
      '"F32"',
      '"shape"',
      '"data_offsets"',
      '0',
      '4',
      '1e9',
      ' ',
      '"__metadata__"',
      'null',
      '\\',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(token, { maxLength: 30 }), async tokens => check(encode(tokens.join(''), 4))),
      { numRuns: 300 },
    );
  });

  it('names missing files, folders and pipes instead of waiting', async () => {
    await assert.rejects(readSafetensors(file), refuses(/no such file or folder \(ENOENT\)/));
    await assert.rejects(readSafetensors(folder), refuses(/not a plain file/));
    if (process.platform === 'win32') return;
    execFileSync('mkfifo', [file]);
    await assert.rejects(readSafetensors(file), refuses(/not a plain file/));
  });

  it('fetches the elements of pending tensors one at a time, and refuses others than were announced', async () => {
    let [open, most] = [0, 0];
    const pending = (shape: number[], data: Float32Array): PendingTensor => ({
      shape,
      dtype: 'float32',
      read: async () => {
        most = Math.max(most, ++open);
        await setImmediate();
        open--;
        return data;
      },
    });
    const tensors = {
      a: pending([2], Float32Array.of(1, 2)),
      b: float32([1], [3]),
      c: pending([1], Float32Array.of(4)),
    };
    await writeSafetensors(file, tensors);
    const written = await readSafetensors(file);
    assert.deepEqual(
      [...written.tensors].map(([name, { data }]) => [name, [...(data as Float32Array)]]),
      [
        ['a', [1, 2]],
        ['b', [3]],
        ['c', [4]],
      ],
    );
    assert.equal(most, 1);
    const before = await readFile(file);
    await assert.rejects(
      writeSafetensors(file, { a: pending([2], Float32Array.of(1)) }),
      /"a" holds 4 bytes, but float32 of shape \[2\] takes 8/,
    );
    await assert.rejects(
      writeSafetensors(file, { a: pending([-1], new Float32Array()) }),
      /has the shape \[-1\]/,
    );
    assert.deepEqual(await readFile(file), before, 'the file stays');
  });

  it('refuses tensors that contradict themselves', async () => {
    await assert.rejects(
      writeSafetensors(file, { a: float32([3], [1, 2]) }),
      /"a" holds 8 bytes, but float32 of shape \[3\] takes 12/,
    );
    await assert.rejects(writeSafetensors(file, { __metadata__: float32([1], [1]) }), /reserves the name/);
    assert.deepEqual(await readdir(folder), []);
  });

  it('leaves the old file and no other when writing fails', async () => {
    await writeSafetensors(file, { a: float32([1], [1]) });
    const before = await readFile(file);
    // The rename fails: a folder with content cannot be replaced by a file.
    const occupied = path.join(folder, 'occupied');
    await mkdir(path.join(occupied, 'content'), { recursive: true });
    await assert.rejects(writeSafetensors(occupied, { a: float32([1], [2]) }), refuses(/cannot write/));
    await assert.rejects(
      writeSafetensors(path.join(file, 'below'), { a: float32([1], [2]) }),
      refuses(/ENOTDIR/),
    );
    assert.deepEqual(await readFile(file), before);
    assert.deepEqual((await readdir(folder)).sort(), ['occupied', 'x.safetensors']);
  });

  it('takes little more memory than the tensors themselves', async function () {
    this.timeout(30_000);
    const count = 48 << 20;
    const source = path.join(folder, 'large.safetensors');
    const header = `{"a":{"dtype":"F32","shape":[${count}],"data_offsets":[0,${4 * count}]}}`;
    await writeFile(source, encode(header, 0));
    await truncate(source, 8 + header.length + 4 * count);
    const module = new URL('../../trainer/checkpoints/safetensors.ts', import.meta.url).href;
    const peak = new URL('../support/peakMemory.ts', import.meta.url).href;
    const script = `
      const { peakMemory } = await import(${JSON.stringify(peak)});
      const { readSafetensors, writeSafetensors } = await import(${JSON.stringify(module)});
      const before = process.memoryUsage.rss();
      const { tensors } = await readSafetensors(${JSON.stringify(source)});
      await writeSafetensors(${JSON.stringify(file)}, tensors);
      console.log(peakMemory() - before);
    `;
    const output = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: repository,
    });
    const growth = Number(output.toString().trim()) / (4 * count);
    assert.ok(growth < 1.3, `peak memory grew by ${growth} times the tensors`);
    const handle = await open(file);
    assert.ok((await handle.stat()).size > 4 * count);
    await handle.close();
  });
});
