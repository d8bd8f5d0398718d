import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { renderScene, sceneFileName } from '../../media/demo/renderScenes.ts';
import { scenes } from '../../media/demo/scenes/catalogue.ts';
import { composeScene } from '../../media/demo/scenes/compose.ts';

const demo = fileURLToPath(new URL('../../media/demo', import.meta.url));
const images = join(demo, 'images');

async function pixels(file: string | Buffer): Promise<{ data: Buffer; width: number; height: number }> {
  const { data, info } = await sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

function meanAbsoluteDifference(a: Buffer, b: Buffer): number {
  assert.equal(a.length, b.length);
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! - b[i]!);
  return sum / a.length;
}

describe('sample scenes', () => {
  it('are at least 24 JPEG files, one a scene, that together stay small', async () => {
    const files = (await readdir(images)).sort();
    assert.ok(files.length >= 24, `${files.length} files`);
    assert.deepEqual(
      files,
      scenes.map((_, index) => sceneFileName(index)),
    );
    const sizes = await Promise.all(files.map(async file => (await stat(join(images, file))).size));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(bytes <= 2.5e6, `${bytes} bytes`);
  });

  it('decode to the sizes the catalogue states, with more than a flat colour in each', async () => {
    for (const [index, scene] of scenes.entries()) {
      const file = join(images, sceneFileName(index));
      const metadata = await sharp(file).metadata();
      assert.equal(metadata.format, 'jpeg', file);
      assert.equal(metadata.chromaSubsampling, '4:2:0', file);
      const { width, height } = await pixels(file);
      assert.deepEqual([width, height], [scene.width, scene.height], file);
      const { channels } = await sharp(file).stats();
      assert.ok(Math.max(...channels.map(channel => channel.stdev)) > 15, `${file} is nearly flat`);
    }
  });

  it('vary in size and aspect ratio', () => {
    const sides = scenes.flatMap(({ width, height }) => [width, height]);
    assert.equal(Math.min(...sides), 320);
    assert.equal(Math.max(...sides), 800);
    const ratios = scenes.map(({ width, height }) => width / height);
    assert.ok(new Set(ratios.map(ratio => ratio.toFixed(2))).size >= 8);
    assert.ok(ratios.filter(ratio => ratio < 0.9).length >= 4, 'portrait');
    assert.ok(ratios.filter(ratio => ratio > 1.1).length >= 4, 'landscape');
    assert.ok(ratios.filter(ratio => ratio === 1).length >= 2, 'square');
    assert.ok(
      ratios.some(ratio => ratio >= 2.4),
      'panorama',
    );
  });

  it('come from the script: the first scene renders to the shipped pixels', async () => {
    const shipped = await pixels(join(images, sceneFileName(0)));
    const rendered = await pixels(await renderScene(scenes[0]!));
    const difference = meanAbsoluteDifference(shipped.data, rendered.data);
    assert.ok(difference < 2, `mean absolute difference ${difference} of 255`);
    const other = await pixels(await renderScene({ ...scenes[0]!, seed: scenes[0]!.seed + 1 }));
    assert.ok(meanAbsoluteDifference(shipped.data, other.data) > 2, 'another seed draws another scene');
  });

  it('are the same SVG text for the same seed', async () => {
    for (const scene of scenes.slice(0, 4)) {
      const svg = await composeScene(scene);
      assert.equal(await composeScene(scene), svg);
      assert.notEqual(await composeScene({ ...scene, seed: scene.seed + 1000 }), svg);
    }
  });

  it('refuse an unknown icon and an unknown zone by name', async () => {
    const scene = scenes[0]!;
    await assert.rejects(
      composeScene({ ...scene, items: [['noto:no-such-icon', 'ground', 0.2]] }),
      /noto:no-such-icon.*check the spelling/,
    );
    await assert.rejects(
      composeScene({ ...scene, items: [['noto:dog', 'cellar', 0.2]] }),
      /no zone "cellar".*ground/,
    );
  });

  it('credit the icon packages in the versions installed', async () => {
    const attribution = await readFile(join(demo, 'ATTRIBUTION.md'), 'utf8');
    const require = createRequire(import.meta.url);
    for (const name of ['@iconify-json/fluent-emoji-flat', '@iconify-json/noto']) {
      const { version } = require(`${name}/package.json`) as { version: string };
      assert.ok(attribution.includes(`\`${name}\` ${version}`), `${name} ${version}`);
    }
  });
});
