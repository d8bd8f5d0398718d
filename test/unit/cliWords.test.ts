import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { readNpy } from '../../trainer/checkpoints/npyFile.ts';
import { readSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { kMeansCommand } from '../../trainer/commands/kmeans.ts';
import { openReference } from '../../trainer/commands/openTower.ts';
import { regionsCommand } from '../../trainer/commands/regions.ts';
import { textCommand } from '../../trainer/commands/text.ts';
import { wordsCommand } from '../../trainer/commands/words.ts';
import { clusterColour } from '../../trainer/dense/colourMaps.ts';
import { decodeImage } from '../../trainer/images/decode.ts';
import { NoTextTowerError } from '../../trainer/models/textArchitecture.ts';
import { SettingError } from '../../trainer/training/settings.ts';
import { UsageError } from '../../trainer/usageError.ts';
import { modelAt } from '../support/inspectClient.ts';
import { printed } from '../support/printed.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { writeTinyModel } from '../support/trainingFixture.ts';

const demo = fileURLToPath(new URL('../../media/demo/model', import.meta.url));
const list = ['cat', 'sky', 'green "grass"'];
const [width, height] = [96, 64];

describe('clipself words, and names of clusters and regions', function () {
  this.timeout(30_000);
  let folder: TemporaryFolder;
  let common: string[];
  /** [words, dimension], as `clipself text` writes them. */
  let directions: Float32Array;
  let dimension: number;
  const cacheBefore = process.env.CLIPSELF_CACHE;

  before(async () => {
    folder = await temporaryFolder();
    process.env.CLIPSELF_CACHE = folder.file('cache');
    const square = { width: 40, height: 30, channels: 3, background: '#d02020' } as const;
    await sharp({ create: { width, height, channels: 3, background: '#2040c0' } })
      .composite([{ input: { create: square }, left: 40, top: 20 }])
      .png()
      .toFile(folder.file('image.png'));
    common = ['--model', demo, '--image', folder.file('image.png'), '--size', '192', '--threads', '1'];
    await writeFile(folder.file('list.txt'), list.join('\n'));
    const out = folder.file('words.npy');
    await printed(() =>
      textCommand(['--model', demo, '--classes', folder.file('list.txt'), '--out', out, '--threads', '1']),
    );
    directions = (await readNpy(out, 1e6)).data;
    dimension = directions.length / list.length;
  });
  after(async () => {
    if (cacheBefore === undefined) delete process.env.CLIPSELF_CACHE;
    else process.env.CLIPSELF_CACHE = cacheBefore;
    await folder.remove();
  });

  const pixelsOf = (name: string) => sharp(folder.file(name)).raw().toBuffer();
  const cosineWith = (feature: Float32Array, word: number): number => {
    let product = 0;
    for (let channel = 0; channel < dimension; channel++)
      product += feature[channel]! * directions[word * dimension + channel]!;
    return product / Math.hypot(...feature);
  };

  it('writes cosines of patches with words, and colours the nearest word at temperature 0', async () => {
    const files = ['--out', folder.file('w.png'), '--csv', folder.file('w.csv'), '--opacity', '1'];
    const words = ['--words', list.join(',')];
    const line = await printed(() =>
      wordsCommand([...common, ...words, ...files, '--temperature', '0', '--json']),
    );
    const tower = await openReference(modelAt(demo), 'cpu', 1);
    const { features, side, valid } = await tower.features.dense(
      await decodeImage(folder.file('image.png')),
      192,
    );
    await tower.dispose();
    const [header, ...rows] = (await readFile(folder.file('w.csv'), 'utf8')).trimEnd().split('\n');
    assert.equal(header, 'row,column,word,cat,sky,"green ""grass"""');
    assert.equal(rows.length, valid.rows * valid.columns);
    const pixels = await pixelsOf('w.png');
    const counts = [0, 0, 0];
    const cell = width / valid.columns;
    for (const row of rows) {
      const cells = row.split(/,(?=(?:[^"]*"[^"]*")*[^"]*$)/);
      const [at, across] = cells.map(Number);
      const patch = at! * side + across!;
      const feature = features.subarray(patch * dimension, (patch + 1) * dimension);
      const expected = list.map((_, word) => cosineWith(feature, word));
      // Drawn from float16 features.
      expected.forEach((value, word) => {
        assert.ok(Math.abs(Number(cells[3 + word]) - value) < 1e-3);
      });
      const shown = cells.slice(3).map(Number);
      const best = shown.indexOf(Math.max(...shown));
      assert.equal(cells[2]!.replaceAll('""', '"').replace(/^"(.*)"$/, '$1'), list[best]);
      counts[best]!++;
      const y = Math.floor((at! + 0.5) * cell);
      const x = Math.floor((across! + 0.5) * cell);
      const start = (y * width + x) * 3;
      assert.deepEqual([...pixels.subarray(start, start + 3)], clusterColour(best));
    }
    const report = JSON.parse(line);
    for (const [word, entry] of report.words.entries()) {
      assert.equal(entry.word, list[word]);
      assert.ok(Math.abs(entry.share - counts[word]! / rows.length) < 1e-9);
    }
  });

  it('takes the words of a file, and the embeddings of one', async () => {
    const from = async (flags: string[]) => {
      await printed(() => wordsCommand([...common, ...flags, '--out', folder.file('f.png')]));
      return pixelsOf('f.png');
    };
    const classes = ['--classes', folder.file('list.txt')];
    const read = await from(classes);
    assert.deepEqual(await from([...classes, '--embeddings', folder.file('words.npy')]), read);
    assert.deepEqual(await from(['--words', list.join('\n')]), read);
    assert.notDeepEqual(await from([...classes, '--plain']), read);
    assert.notDeepEqual(await from([...classes, '--map', 'sky']), read);
  });

  it('names clusters and regions', async () => {
    const words = ['--words', list.join(',')];
    const out = ['--out', folder.file('k.png'), '--csv', folder.file('k.csv')];
    const clusters = await printed(() => kMeansCommand([...common, ...words, ...out, '--k', '3', '--json']));
    for (const { word, cosine } of JSON.parse(clusters).clusters) {
      assert.ok(list.includes(word));
      assert.ok(Math.abs(cosine) <= 1);
    }
    assert.match(await readFile(folder.file('k.csv'), 'utf8'), /^row,column,cluster,word\n0,0,\d,/);
    await writeFile(folder.file('boxes.json'), '[[0, 0, 40, 40], [40, 20, 80, 50]]');
    const boxes = ['--boxes', folder.file('boxes.json'), '--out', folder.file('r.safetensors')];
    const report = JSON.parse(await printed(() => regionsCommand([...common, ...words, ...boxes, '--json'])));
    const { tensors } = await readSafetensors(folder.file('r.safetensors'));
    for (const kind of ['roi', 'crop'] as const)
      for (const box of [0, 1]) {
        const data = tensors.get(kind)!.data as Float32Array;
        const feature = data.subarray(box * dimension, (box + 1) * dimension);
        const expected = list
          .map((word, index) => ({ word, cosine: cosineWith(feature, index) }))
          .sort((a, b) => b.cosine - a.cosine);
        const found: { word: string; cosine: number }[] = report.words[box][kind];
        assert.deepEqual(
          found.map(({ word }) => word),
          expected.map(({ word }) => word),
        );
        found.forEach(({ cosine }, rank) => {
          assert.ok(Math.abs(cosine - expected[rank]!.cosine) < 1e-6);
        });
      }
  });

  it('says what is missing or does not go together', async () => {
    const out = ['--out', folder.file('x.png')];
    const refused = (flags: string[], kind: typeof UsageError | typeof SettingError) =>
      assert.rejects(wordsCommand([...common, ...out, ...flags]), kind);
    await refused([], UsageError);
    await refused(['--plain'], UsageError);
    await refused(['--words', 'a', '--plain', '--embeddings', 'x.npy'], UsageError);
    await refused(['--words', 'a', '--classes', 'x.txt'], UsageError);
    await refused(['--words', 'a', '--map', 'b'], SettingError);
    await refused(['--words', 'a', '--map', 'a', '--temperature', '1'], UsageError);
    await refused(['--words', 'a', '--temperature=-1'], SettingError);
    await writeTinyModel(folder.file('blind'));
    const blind = ['--model', folder.file('blind'), ...common.slice(2), ...out, '--words', 'a'];
    await assert.rejects(wordsCommand(blind), NoTextTowerError);
  });
});
