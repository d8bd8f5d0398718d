import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { readSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { featuresCommand } from '../../trainer/commands/features.ts';
import { type OpenTower, openReference } from '../../trainer/commands/openTower.ts';
import { regionsSvg } from '../../trainer/commands/regionOverlay.ts';
import { regionsCommand } from '../../trainer/commands/regions.ts';
import { decodeImage } from '../../trainer/images/decode.ts';
import type { PixelBox } from '../../trainer/images/geometry.ts';
import type { Raster } from '../../trainer/images/raster.ts';
import { SettingError } from '../../trainer/training/settings.ts';
import { UsageError } from '../../trainer/usageError.ts';
import { fixturePath } from '../support/goldenTensors.ts';
import { modelAt } from '../support/inspectClient.ts';
import { printed } from '../support/printed.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { writeTinyModel } from '../support/trainingFixture.ts';

describe('clipself features and regions', function () {
  this.timeout(30_000);
  const size = 64;
  const [width, height] = [80, 60];
  // Patches are 10 pixels of the file: the boxes cover rows 0–1 and columns 0–2, rows 2–4 and columns 4–6.
  const boxes: PixelBox[] = [
    [0, 0, 30, 20],
    [40, 20, 70, 50],
  ];
  let folder: TemporaryFolder;
  let tower: OpenTower;
  let raster: Raster;
  let common: string[];

  before(async () => {
    folder = await temporaryFolder();
    await writeTinyModel(folder.file('model'));
    const square = { width: 30, height: 30, channels: 3, background: '#d02020' } as const;
    await sharp({ create: { width, height, channels: 3, background: '#2040c0' } })
      .composite([{ input: { create: square }, left: 40, top: 20 }])
      .png()
      .toFile(folder.file('image.png'));
    await writeFile(folder.file('boxes.json'), JSON.stringify(boxes));
    common = ['--model', folder.file('model'), '--image', folder.file('image.png'), '--threads', '1'];
    common.push('--size', String(size));
    tower = await openReference(modelAt(folder.file('model')), 'auto', 1);
    raster = await decodeImage(folder.file('image.png'));
  });
  after(async () => {
    await tower.dispose();
    await folder.remove();
  });

  const tensorsOf = async (name: string) => (await readSafetensors(folder.file(name))).tensors;
  const regions = (name: string, ...more: string[]) =>
    printed(() =>
      regionsCommand([...common, '--boxes', folder.file('boxes.json'), '--out', folder.file(name), ...more]),
    );

  it('reads features of another read-out and layer as the library does', async () => {
    const out = ['--out', folder.file('f.safetensors')];
    const options = { readOut: 'queryQuery', layer: 1 } as const;
    await printed(() => featuresCommand([...common, ...out, '--read-out', 'queryQuery', '--layer', '1']));
    const tensors = await tensorsOf('f.safetensors');
    const { features } = await tower.features.dense(raster, size, options);
    assert.deepEqual(tensors.get('dense')!.data, features);
    assert.notDeepEqual(features, (await tower.features.dense(raster, size)).features);
    assert.deepEqual([...tensors.get('valid')!.data], [6, 8]);
  });

  it('pools the features of another read-out and layer, and prints the cosines with the crops', async () => {
    const line = await regions('r.safetensors', '--read-out', 'tokens', '--layer', '1', '--json');
    const dense = await tower.features.dense(raster, size, { readOut: 'tokens', layer: 1 });
    const roi = tower.features.pool(dense, raster, size, boxes);
    const crop = await tower.features.crops(raster, boxes);
    const tensors = await tensorsOf('r.safetensors');
    assert.deepEqual(tensors.get('roi')!.data, roi);
    assert.deepEqual(tensors.get('crop')!.data, crop);
    const { cosines } = JSON.parse(line) as { cosines: number[] };
    cosines.forEach((cosine, box) => {
      let expected = 0;
      for (let channel = box * 16; channel < box * 16 + 16; channel++)
        expected += roi[channel]! * crop[channel]!;
      assert.ok(Math.abs(cosine - expected) < 1e-6);
    });
  });

  it('reads boxes by mask attention: what lies outside has no say in them', async () => {
    await regions('v1.safetensors', '--read-out', 'maskAttention');
    const roi = (await tensorsOf('v1.safetensors')).get('roi')!.data as Float32Array;
    assert.deepEqual(roi, await tower.features.maskAttention(raster, size, boxes));
    for (const start of [0, 16]) {
      const norm = Math.hypot(...roi.subarray(start, start + 16));
      assert.ok(Math.abs(norm - 1) < 1e-5);
    }
    assert.notDeepEqual(roi.subarray(0, 16), roi.subarray(16));
    // A box of the same patches reads the same, one of other patches does not.
    const same = await tower.features.maskAttention(raster, size, [[-5, -5, 39, 29]]);
    const other = await tower.features.maskAttention(raster, size, [[0, 0, 41, 29]]);
    const distance = (row: Float32Array): number =>
      row.reduce((most, value, channel) => Math.max(most, Math.abs(value - roi[channel]!)), 0);
    assert.ok(distance(same) < 1e-6 && distance(other) > 1e-5, `${distance(same)}, ${distance(other)}`);
  });

  it('draws the boxes over the image', async () => {
    await regions('o.safetensors', '--overlay', folder.file('o.png'));
    const { data, info } = await sharp(folder.file('o.png')).raw().toBuffer({ resolveWithObject: true });
    assert.deepEqual([info.width, info.height, info.channels], [width, height, 3]);
    const pixel = (x: number, y: number) => [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
    // Inside and outside, away from lines and labels, the image is as it was.
    assert.deepEqual(
      [pixel(60, 45), pixel(35, 55)],
      [
        [0xd0, 0x20, 0x20],
        [0x20, 0x40, 0xc0],
      ],
    );
    assert.notDeepEqual(pixel(69, 45), [0xd0, 0x20, 0x20]);
  });

  it('labels boxes by index and cosine, coloured from the lowest to the highest', () => {
    const svg = regionsSvg({ width, height }, boxes, [0.25, 0.75]);
    assert.match(svg, /<rect x="0" y="0" width="30" height="20" fill="none" stroke="#440154"/);
    assert.match(svg, /<rect x="40" y="20" width="30" height="30" fill="none" stroke="#fde725"/);
    assert.match(svg, />0: 0\.250<.*>1: 0\.750</);
  });

  it('refuses what does not go together', async () => {
    const refuses = (
      work: Promise<unknown>,
      kind: typeof SettingError | typeof UsageError,
      message: RegExp,
    ) => assert.rejects(work, (error: Error) => error instanceof kind && message.test(error.message));
    const mask = ['--read-out', 'maskAttention'];
    const out = ['--out', folder.file('never.safetensors')];
    await refuses(featuresCommand([...common, ...out, ...mask]), SettingError, /--read-out takes value/);
    await refuses(featuresCommand([...common, ...out, '--layer', '3']), SettingError, /--layer takes 1 to 2/);
    await refuses(regionsCommand([...common, ...out]), UsageError, /regions needs --boxes/);
    await refuses(regions('n', ...mask, '--layer', '1'), UsageError, /leave out --layer/);
    const eva = ['--model', path.resolve(fixturePath('eva02')), ...out, ...mask];
    const others = ['--image', folder.file('image.png'), '--boxes', folder.file('boxes.json')];
    await refuses(
      regionsCommand([...eva, ...others]),
      SettingError,
      /^EVA-02 .* has no mask attention; choose/,
    );
    await assert.rejects(regions('n', '--step', '3'), /is no run directory and has no step 3/);
  });
});
