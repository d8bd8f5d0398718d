import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { npyBytes, readNpy, writeNpy } from '../../trainer/checkpoints/npyFile.ts';
import { readClassEmbeddings, writeClassEmbeddings } from '../../trainer/text/classEmbeddings.ts';
import { readClassList } from '../../trainer/text/classList.ts';
import { fixturePath } from '../support/goldenTensors.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const goldenFile = fixturePath('datasets/panoptic_embeddings.npy');
const goldenNames = ['person', 'boat', 'bird', 'cat', 'sky', 'grass', 'sea'];

/** A `.npy` file with this header, of a version, and so many zero bytes of data. */
function encode(header: string, dataBytes: number, version = 1): Buffer {
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(header.length);
  else length.writeUInt32LE(header.length);
  const magic = Buffer.from(`\x93NUMPY${String.fromCharCode(version)}\0`, 'latin1');
  return Buffer.concat([magic, length, Buffer.from(header, 'latin1'), Buffer.alloc(dataBytes)]);
}

const headerOf = (type: string, shape: string, fortran = 'False'): string =>
  `{'descr': '${type}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;

const refuses =
  (pattern: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof FileError, `${String(error)} is not a FileError`);
    assert.match(error.message, pattern);
    return true;
  };

describe('.npy files', () => {
  let folder: TemporaryFolder;
  let file: string;

  beforeEach(async () => {
    folder = await temporaryFolder();
    file = folder.file('x.npy');
  });
  afterEach(() => folder.remove());

  it('reads what NumPy wrote', async () => {
    const { shape, data } = await readNpy(goldenFile, 1000);
    assert.deepEqual(shape, [7, 32]);
    const bytes = await readFile(goldenFile);
    for (const index of [0, 1, 100, 223]) assert.equal(data[index], bytes.readFloatLE(128 + 4 * index));
  });

  it('writes what NumPy would write, byte for byte', async () => {
    await writeNpy(file, await readNpy(goldenFile, 1000));
    assert.deepEqual(await readFile(file), await readFile(goldenFile));
  });

  it('reads halves, doubles, scalars and the versions 2 and 3', async () => {
    await writeFile(file, npyBytes([3], { float16: Uint16Array.of(0x3c00, 0xc000, 0x3555) }));
    assert.deepEqual([...(await readNpy(file, 3)).data], [1, -2, 0.333251953125]);
    const doubles = encode(headerOf('<f8', '(2,)'), 16, 2);
    doubles.writeDoubleLE(0.5, doubles.length - 16);
    doubles.writeDoubleLE(-3, doubles.length - 8);
    await writeFile(file, doubles);
    assert.deepEqual([...(await readNpy(file, 3)).data], [0.5, -3]);
    await writeFile(file, encode(headerOf('<f4', '()'), 4, 3));
    assert.deepEqual(await readNpy(file, 3), { shape: [], data: Float32Array.of(0) });
  });

  const damaged: readonly (readonly [what: string, content: Buffer, message: RegExp])[] = [
    ['an empty file', Buffer.alloc(0), /too few/],
    ['another file', Buffer.from('something else entirely'), /does not begin as one/],
    ['a version to come', encode(headerOf('<f4', '(1,)'), 4, 9), /version 9\.0/],
    ['a header that is no dictionary', encode('hello world\n', 4), /not understood/],
    [
      'an endless header',
      Buffer.concat([encode('', 0, 2).subarray(0, 8), Buffer.alloc(9, 0xff)]),
      /header would be 4294967295/,
    ],
    ['integers', encode(headerOf('<i8', '(1,)'), 8), /'<i8'/],
    ['big-endian floats', encode(headerOf('>f4', '(1,)'), 4), /'>f4'/],
    ['objects', encode(headerOf('|O', '(1,)'), 4), /'\|O'/],
    ['Fortran order', encode(headerOf('<f4', '(2, 2)', 'True'), 16), /C order/],
    ['missing data', encode(headerOf('<f4', '(2, 2)'), 15), /takes 16 bytes, but 15/],
    ['data left over', encode(headerOf('<f4', '(2, 2)'), 17), /takes 16 bytes, but 17/],
    ['an array beyond the bound', encode(headerOf('<f4', '(100000, 100000)'), 4), /more than 1000/],
    [
      'a product beyond all numbers',
      encode(headerOf('<f4', `(${'9007199254740991, '.repeat(32)})`), 4),
      /more than/,
    ],
    ['no shape', encode("{'descr': '<f4', 'fortran_order': False}\n", 4), /shape is missing/],
  ];
  for (const [what, content, message] of damaged)
    it(`refuses ${what}`, async () => {
      await writeFile(file, content);
      await assert.rejects(readNpy(file, 1000), refuses(message));
    });

  it('ends in one clear error whatever bytes are damaged', async () => {
    const golden = await readFile(goldenFile);
    await fc.assert(
      fc.asyncProperty(fc.nat(127), fc.nat(255), async (position, byte) => {
        const bytes = Buffer.from(golden);
        bytes[position] = byte;
        await writeFile(file, bytes);
        await readNpy(file, 1000).catch((error: unknown) => {
          assert.ok(error instanceof FileError, String(error));
        });
      }),
      { numRuns: 200 },
    );
  });
});

describe('class embeddings', () => {
  let folder: TemporaryFolder;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  it('have unit norm, whatever the file holds', async () => {
    const { names, dimension, data } = await readClassEmbeddings(goldenFile, goldenNames, 32);
    assert.deepEqual([names, dimension], [goldenNames, 32]);
    const { data: raw } = await readNpy(goldenFile, 1000);
    for (let row = 0; row < 7; row++) {
      const norm = Math.hypot(...raw.subarray(row * 32, row * 32 + 32));
      for (let channel = 0; channel < 32; channel++)
        assert.ok(Math.abs(data[row * 32 + channel]! - raw[row * 32 + channel]! / norm) < 1e-7);
    }
  });

  it('read back as they were written', async () => {
    const embeddings = await readClassEmbeddings(goldenFile, goldenNames);
    await writeClassEmbeddings(folder.file('out.npy'), embeddings);
    const again = await readClassEmbeddings(folder.file('out.npy'), goldenNames);
    again.data.forEach((value, index) => {
      assert.ok(Math.abs(value - embeddings.data[index]!) < 1e-7);
    });
  });

  it('must fit the classes and the model, and have a direction', async () => {
    const file = folder.file('x.npy');
    await assert.rejects(readClassEmbeddings(goldenFile, ['cat']), refuses(/7 rows for 1 classes/));
    await assert.rejects(readClassEmbeddings(goldenFile, goldenNames, 512), refuses(/32 channels.* 512/));
    await writeNpy(file, { shape: [4], data: new Float32Array(4) });
    await assert.rejects(readClassEmbeddings(file, ['a']), refuses(/not \[classes, dimension\]/));
    await writeNpy(file, { shape: [2, 2], data: Float32Array.of(1, 2, 0, 0) });
    await assert.rejects(readClassEmbeddings(file, ['a', 'b']), refuses(/row 1 \('b'\)/));
    await writeNpy(file, { shape: [1, 2], data: Float32Array.of(Number.NaN, 1) });
    await assert.rejects(readClassEmbeddings(file, ['a']), refuses(/row 0/));
  });
});

describe('class lists', () => {
  let folder: TemporaryFolder;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  const list = async (name: string, content: string) => {
    await writeFile(folder.file(name), content);
    return readClassList(folder.file(name));
  };

  it('come from COCO annotations, sorted by id', async () => {
    const classes = await readClassList(fixturePath('datasets/panoptic.json'));
    assert.deepEqual(
      classes.map(({ name }) => name),
      goldenNames,
    );
    assert.deepEqual(
      classes.map(({ isThing }) => isThing),
      [true, true, true, true, false, false, false],
    );
    const shuffled = '{"categories": [{"id": 9, "name": "b"}, {"id": 2, "name": "a", "isthing": 0}]}';
    assert.deepEqual(await list('x.json', shuffled), [
      { id: 2, name: 'a', isThing: false },
      { id: 9, name: 'b', isThing: true },
    ]);
  });

  it('come from text and from JSON, in their order', async () => {
    const expected = ['traffic light', 'cat'].map((name, id) => ({ id, name, isThing: true }));
    assert.deepEqual(await list('x.txt', '\uFEFFtraffic light\r\n\r\n  cat  \n'), expected);
    assert.deepEqual(await list('y.json', '["traffic light", "cat"]'), expected);
    assert.deepEqual(await list('z.json', '[{"name": "traffic light"}, {"name": "cat"}]'), expected);
  });

  it('that are none are refused', async () => {
    for (const [name, content, message] of [
      ['a.txt', '\n \n', /names no classes/],
      ['a.txt', 'x'.repeat(501), /501 characters/],
      ['a.json', '[]', /names no classes/],
      ['a.json', '{"images": []}', /no list of categories/],
      ['a.json', '["cat", 3]', /category 0 is no object/],
      ['a.json', '[{"id": 1}]', /category 0 has no name/],
      ['a.json', '[{"id": 1.5, "name": "cat"}]', /no whole number/],
      ['a.json', '[{"id": 1, "name": "cat", "isthing": "yes"}]', /isthing/],
      ['a.json', '[{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]', /id 1 occurs twice/],
      ['a.json', '[{"id": 1, "name": " "}]', /0 characters/],
      ['a.json', '[', /not valid JSON/],
    ] as const)
      await assert.rejects(list(name, content), refuses(message), content);
    await assert.rejects(readClassList(folder.file('none.txt')), refuses(/no such file/));
  });
});
