import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { decodeImage } from '../../trainer/images/decode.ts';
import { ImageError } from '../../trainer/images/imageError.ts';
import { fixturePath } from '../support/goldenTensors.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

let folder: TemporaryFolder;
before(async () => {
  folder = await temporaryFolder();
});
after(() => folder.remove());

async function store(name: string, bytes: Uint8Array | string): Promise<string> {
  await writeFile(folder.file(name), bytes);
  return folder.file(name);
}

async function rejects(file: string, reason: RegExp): Promise<void> {
  await assert.rejects(decodeImage(file), (error: unknown) => {
    assert.ok(error instanceof ImageError);
    assert.equal(error.file, file);
    assert.match(error.reason, reason);
    assert.ok(!error.message.includes('\n'));
    return true;
  });
}

/** A 2 × 2 image of the given channels. */
function tiny(values: number[]) {
  return sharp(Buffer.from(values), {
    raw: { width: 2, height: 2, channels: (values.length / 4) as 1 | 2 | 3 | 4 },
  });
}

const colours = [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30];

/** Little-endian bitmap: header, palette, rows from the bottom up. */
function bitmap(width: number, height: number, bits: number, palette: number[], rows: number[]): Buffer {
  const bytes = Buffer.alloc(54 + palette.length + rows.length);
  bytes.write('BM');
  bytes.writeUInt32LE(54 + palette.length, 10);
  bytes.writeUInt32LE(40, 14);
  bytes.writeInt32LE(width, 18);
  bytes.writeInt32LE(height, 22);
  bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(bits, 28);
  bytes.writeUInt32LE(palette.length / 4, 46);
  bytes.set(palette, 54);
  bytes.set(rows, 54 + palette.length);
  return bytes;
}

describe('decodeImage', () => {
  it('refuses what is not an image, naming file and reason', async () => {
    await rejects(await store('empty.jpg', ''), /the file is empty/);
    await rejects(await store('text.png', 'no picture here'), /not a JPEG, PNG/);
    await rejects(await store('drawing.png', '<svg xmlns="http://www.w3.org/2000/svg"/>'), /not a JPEG, PNG/);
    await rejects(folder.file('absent.png'), /no such file/);
    await mkdir(folder.file('folder.png'));
    await rejects(folder.file('folder.png'), /not a file/);
  });

  it('refuses truncated files', async () => {
    for (const name of ['j420.jpg', 'a.png']) {
      const whole = await readFile(fixturePath(`preprocess/${name}`));
      const half = whole.subarray(0, whole.length / 2);
      await rejects(await store(`half-${name}`, half), /cannot be decoded/);
      await rejects(await store(`head-${name}`, whole.subarray(0, 12)), /cannot be decoded/);
    }
    await rejects(await store('half.bmp', bitmap(2, 2, 24, [], [1, 2, 3])), /truncated/);
  });

  it('refuses more pixels than PIL trusts without decoding them', async () => {
    const bytes = await tiny(colours).png().toBuffer();
    bytes.writeUInt32BE(60_000, 16);
    bytes.writeUInt32BE(60_000, 20);
    bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
    await rejects(await store('bomb.png', bytes), /more than 178956970 pixels/);
    await rejects(await store('bomb.bmp', bitmap(60_000, 60_000, 24, [], [])), /more than 178956970 pixels/);
  });

  it('ignores colour profiles', async () => {
    const bytes = await tiny(colours).withIccProfile('p3').png().toBuffer();
    const stored = await sharp(bytes, { ignoreIcc: true }).raw().toBuffer();
    const image = await decodeImage(await store('p3.png', bytes));
    assert.deepEqual(Buffer.from(image.data), stored);
    assert.notDeepEqual([...image.data], colours);
  });

  it('keeps grey with alpha as two channels', async () => {
    const values = [10, 255, 20, 128, 30, 0, 40, 7];
    const bytes = await tiny(values).toColourspace('b-w').png().toBuffer();
    const image = await decodeImage(await store('la.png', bytes));
    assert.equal(image.mode, 'LA');
    assert.deepEqual([...image.data], values);
  });

  it('drops the alpha of a palette and knows it was one', async () => {
    const bytes = await tiny([255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 9, 9, 9, 0])
      .png({ palette: true })
      .toBuffer();
    const image = await decodeImage(await store('transparent-palette.png', bytes));
    assert.equal(image.mode, 'P');
    assert.deepEqual([...image.data.subarray(0, 9)], [255, 0, 0, 0, 255, 0, 0, 0, 255]);
  });

  it('keeps the high byte of 16-bit images', async () => {
    const samples = Uint16Array.from(colours, value => value * 256 + 77);
    const bytes = await sharp(samples, { raw: { width: 2, height: 2, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    assert.equal(bytes[24], 16);
    const image = await decodeImage(await store('deep.png', bytes));
    assert.deepEqual([...image.data], colours);
  });

  it('reads CMYK, WebP, TIFF and the first frame of a GIF', async () => {
    const flat = sharp({
      create: { width: 24, height: 16, channels: 3, background: { r: 200, g: 40, b: 90 } },
    });
    const files = {
      'print.jpg': await flat.clone().toColourspace('cmyk').jpeg().toBuffer(),
      'lossless.webp': await flat.clone().webp({ lossless: true }).toBuffer(),
      'plain.tif': await flat.clone().tiff({ compression: 'lzw' }).toBuffer(),
      'frames.gif': await sharp(Buffer.alloc(24 * 32 * 3, 200), {
        raw: { width: 24, height: 32, channels: 3, pageHeight: 16 },
      })
        .gif()
        .toBuffer(),
    };
    for (const [name, bytes] of Object.entries(files)) {
      const image = await decodeImage(await store(name, bytes));
      assert.deepEqual([image.width, image.height, image.channels], [24, 16, 3], name);
      assert.equal(image.mode, name === 'frames.gif' ? 'P' : 'RGB');
      if (name.endsWith('webp') || name.endsWith('tif'))
        assert.deepEqual([...image.data.subarray(0, 3)], [200, 40, 90]);
    }
  });

  it('reads bitmaps', async () => {
    const direct = bitmap(2, 2, 24, [], [255, 0, 0, 30, 20, 10, 0, 0, 0, 0, 255, 0, 255, 0, 0, 0]);
    const image = await decodeImage(await store('direct.bmp', direct));
    assert.equal(image.mode, 'RGB');
    assert.deepEqual([...image.data], colours);

    const indexed = bitmap(3, 1, 4, [1, 2, 3, 0, 4, 5, 6, 0], [0x10, 0x10, 0, 0]);
    const palette = await decodeImage(await store('indexed.bmp', indexed));
    assert.equal(palette.mode, 'P');
    assert.deepEqual([...palette.data], [6, 5, 4, 3, 2, 1, 6, 5, 4]);

    const bilevel = bitmap(3, 1, 1, [0, 0, 0, 0, 255, 255, 255, 0], [0b10100000, 0, 0, 0]);
    const twoTone = await decodeImage(await store('bilevel.bmp', bilevel));
    assert.equal(twoTone.mode, '1');
    assert.deepEqual([...twoTone.data], [255, 0, 255]);
  });
});
