import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { kMeansCommand } from '../../trainer/commands/kmeans.ts';
import { openReference } from '../../trainer/commands/openTower.ts';
import { pcaCommand } from '../../trainer/commands/pca.ts';
import { similarityCommand } from '../../trainer/commands/similarity.ts';
import { attentionCommand, normsCommand } from '../../trainer/commands/tokenMaps.ts';
import { clusterColour } from '../../trainer/dense/colourMaps.ts';
import { normaliseRows } from '../../trainer/dense/imageFeatures.ts';
import { fromFloat16, toFloat16 } from '../../trainer/float16.ts';
import { decodeImage } from '../../trainer/images/decode.ts';
import { SettingError } from '../../trainer/training/settings.ts';
import { UsageError } from '../../trainer/usageError.ts';
import { modelAt } from '../support/inspectClient.ts';
import { printed } from '../support/printed.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { writeTinyModel } from '../support/trainingFixture.ts';

describe('clipself kmeans, pca, similarity, norms and attention', function () {
  this.timeout(30_000);
  let folder: TemporaryFolder;
  let common: string[];
  const [width, height] = [80, 60];

  before(async () => {
    folder = await temporaryFolder();
    await writeTinyModel(folder.file('model'));
    const square = { width: 30, height: 30, channels: 3, background: '#d02020' } as const;
    await sharp({ create: { width, height, channels: 3, background: '#2040c0' } })
      .composite([{ input: { create: square }, left: 40, top: 20 }])
      .png()
      .toFile(folder.file('image.png'));
    common = ['--model', folder.file('model'), '--image', folder.file('image.png'), '--threads', '1'];
  });
  after(() => folder.remove());

  const pixelsOf = async (name: string) => {
    const { data, info } = await sharp(folder.file(name)).raw().toBuffer({ resolveWithObject: true });
    assert.deepEqual([info.width, info.height, info.channels], [width, height, 3]);
    return data;
  };
  const rowsOf = async (name: string) => {
    const [header, ...rows] = (await readFile(folder.file(name), 'utf8')).trimEnd().split('\n');
    return { header, rows: rows.map(row => row.split(',').map(Number)) };
  };

  it('draws the norms of tokens and what a token attends to', async () => {
    const tower = await openReference(modelAt(folder.file('model')), 'cpu', 1);
    try {
      const image = await decodeImage(folder.file('image.png'));
      const { layers, width: channels, heads } = tower.model.architecture;
      const drawn = async (command: typeof normsCommand, flags: string[]) => {
        const files = ['--out', folder.file('token.png'), '--csv', folder.file('token.csv')];
        await printed(() => command([...common, '--size', '32', ...files, ...flags]));
        await pixelsOf('token.png');
        const { rows } = await rowsOf('token.csv');
        return rows.map(([, , value]) => value!);
      };
      const near = (own: number[], expected: number[]) => {
        assert.ok(own.length > 0);
        own.forEach((value, cell) => {
          assert.ok(Math.abs(value - expected[cell]!) < 1e-5, `cell ${cell}: ${value}, ${expected[cell]}`);
        });
      };
      const tokens = await tower.features.tokens(image, 32, layers);
      const norms = await drawn(normsCommand, []);
      near(
        norms,
        norms.map((_, cell) => Math.hypot(...tokens.subarray((cell + 1) * channels, (cell + 2) * channels))),
      );
      let weights: Float32Array = new Float32Array();
      await tower.features.attentionByLayer(image, 32, layers, last => {
        weights = last;
      });
      const count = Math.sqrt(weights.length / heads);
      const row = (head: number, token: number) =>
        Array.from(weights.subarray((head * count + token) * count + 1, (head * count + token + 1) * count));
      near(await drawn(attentionCommand, ['--head', '1']), row(1, 0));
      near(await drawn(attentionCommand, ['--head', '0', '--patch', '2']), row(0, 3));
      const mean = row(0, 0).map((_, cell) =>
        Array.from({ length: heads }, (_, head) => row(head, 0)[cell]!).reduce(
          (sum, value) => sum + value / heads,
          0,
        ),
      );
      near(await drawn(attentionCommand, ['--head', 'mean']), mean);
      const rollout = await drawn(attentionCommand, []);
      assert.ok(rollout.every(value => value > 0) && rollout.reduce((sum, value) => sum + value, 0) < 1);
      await assert.rejects(drawn(attentionCommand, ['--head', String(heads)]), SettingError);
      await assert.rejects(drawn(attentionCommand, ['--patch', '16']), SettingError);
      await assert.rejects(drawn(normsCommand, ['--colours', 'jet']), SettingError);
    } finally {
      await tower.dispose();
    }
  });

  it('draws clusters in their colours, at the resolution of the image', async () => {
    const files = ['--out', folder.file('k.png'), '--csv', folder.file('k.csv')];
    const options = ['--k', '3', '--size', '64', '--opacity', '1', '--json'];
    const line = await printed(() => kMeansCommand([...common, ...files, ...options]));
    const { clusters, rows, columns } = JSON.parse(line);
    // 80 × 60 pixels become 64 × 48: six rows and eight columns of patches of 8.
    assert.deepEqual([rows, columns], [6, 8]);
    const table = await rowsOf('k.csv');
    assert.equal(table.header, 'row,column,cluster');
    assert.equal(table.rows.length, 48);
    const pixels = await pixelsOf('k.png');
    for (const [row, column, cluster] of table.rows) {
      const at = ((row! * 10 + 5) * width + column! * 10 + 5) * 3;
      assert.deepEqual(Array.from(pixels.subarray(at, at + 3)), clusterColour(cluster!));
    }
    for (const { cluster, share } of clusters)
      assert.equal(share, table.rows.filter(([, , label]) => label === cluster).length / 48);
  });

  it('draws the same clusters with the same seed', async () => {
    const run = (name: string) =>
      printed(() =>
        kMeansCommand([...common, '--k', '4', '--seed', '5', '--smooth', '--out', folder.file(name)]),
      );
    const words = await run('first.png');
    assert.equal((await run('second.png')).replace('second', 'first'), words);
    assert.match(words, /^4 clusters of 6 × 8 patches: .*first\.png\n +0 {2}#0072b2 +\d+\.\d %\n/);
    assert.deepEqual(await pixelsOf('first.png'), await pixelsOf('second.png'));
  });

  it('gives the cosines of the features that the model gives', async () => {
    const files = ['--out', folder.file('s.png'), '--csv', folder.file('s.csv')];
    const line = await printed(() =>
      similarityCommand([...common, ...files, '--size', '64', '--patch', '3,5', '--bilinear', '--json']),
    );
    const tower = await openReference(modelAt(folder.file('model')), 'auto', 1);
    const { features } = await tower.features.dense(await decodeImage(folder.file('image.png')), 64);
    await tower.dispose();
    // The command draws what the inspector keeps.
    const unit = normaliseRows(fromFloat16(toFloat16(features)), 16);
    const { rows } = await rowsOf('s.csv');
    for (const [row, column, cosine] of rows) {
      let expected = 0;
      for (let channel = 0; channel < 16; channel++)
        expected += unit[(row! * 8 + column!) * 16 + channel]! * unit[(3 * 8 + 5) * 16 + channel]!;
      assert.ok(Math.abs(cosine! - expected) < 1e-5);
    }
    const { high, low } = JSON.parse(line);
    assert.ok(Math.abs(high - 1) < 1e-6);
    assert.equal(low, Math.min(...rows.map(([, , cosine]) => cosine!)));
    await pixelsOf('s.png');
  });

  it('takes an index for a patch, and a box', async () => {
    const draw = (name: string, ...query: string[]) =>
      printed(() => similarityCommand([...common, '--size', '64', '--out', folder.file(name), ...query]));
    await draw('pair.png', '--patch', '3,5');
    await draw('index.png', '--patch', '29');
    assert.deepEqual(await pixelsOf('pair.png'), await pixelsOf('index.png'));
    const words = await draw('box.png', '--box', '40,20,70,50', '--colours', 'magma');
    assert.match(words, /^cosines from -?\d\.\d{3} to [01]\.\d{3} on 6 × 8 patches: /);
    assert.notDeepEqual(await pixelsOf('box.png'), await pixelsOf('pair.png'));
  });

  it('draws principal components', async () => {
    const files = ['--out', folder.file('p.png'), '--csv', folder.file('p.csv')];
    const components = ['--components', '2,0,1', '--read-out', 'tokens', '--layer', '1', '--json'];
    const line = await printed(() => pcaCommand([...common, ...files, '--size', '64', ...components]));
    const { explainedVariance } = JSON.parse(line);
    const [red, green, blue] = explainedVariance;
    assert.ok(green >= blue && blue >= red && red >= 0 && red + green + blue <= 1 + 1e-6);
    const { header, rows } = await rowsOf('p.csv');
    assert.equal(header, 'row,column,component2,component0,component1');
    for (const column of [2, 3, 4])
      assert.ok(Math.abs(rows.reduce((sum, row) => sum + row[column]!, 0)) < 1e-3);
    await pixelsOf('p.png');
  });

  it('describes its options', async () => {
    for (const command of [kMeansCommand, pcaCommand, similarityCommand])
      assert.match(await printed(() => command(['--help'])), /^usage: clipself [\s\S]*--opacity O/);
  });

  const out = ['--out', path.join(fileURLToPath(new URL('.', import.meta.url)), 'never-written.png')];
  const refusals: [string, () => Promise<void>, typeof SettingError | typeof UsageError, RegExp][] = [
    ['no clusters', () => kMeansCommand([...common, ...out]), UsageError, /kmeans needs --k/],
    [
      'too many clusters',
      () => kMeansCommand([...common, ...out, '--k', '21']),
      SettingError,
      /--k takes .* 2 to 20; got '21'/,
    ],
    [
      'no image',
      () => pcaCommand(['--model', 'm', ...out]),
      UsageError,
      /pca needs --model, --image and --out/,
    ],
    [
      'two queries',
      () => similarityCommand([...common, ...out, '--patch', '1', '--box', '0,0,1,1']),
      UsageError,
      /either --patch or --box/,
    ],
    [
      'a patch outside',
      () => similarityCommand([...common, ...out, '--size', '64', '--patch', '6,0']),
      SettingError,
      /--patch: patch 6,0 is outside/,
    ],
    [
      'an inverted box',
      () => similarityCommand([...common, ...out, '--box', '9,0,3,5']),
      SettingError,
      /x0 < x1/,
    ],
    [
      'a box outside',
      () => similarityCommand([...common, ...out, '--box', '900,0,930,5']),
      SettingError,
      /--box: box 900,0,930,5 holds no part/,
    ],
    [
      'opacity',
      () => pcaCommand([...common, ...out, '--opacity', '2']),
      SettingError,
      /--opacity takes a number from 0 to 1; got '2'/,
    ],
    ['a layer', () => pcaCommand([...common, ...out, '--layer', '3']), SettingError, /--layer takes 1 to 2/],
    [
      'a read-out',
      () => pcaCommand([...common, ...out, '--read-out', 'x']),
      SettingError,
      /--read-out takes value, tokens/,
    ],
    [
      'a colour map',
      () => similarityCommand([...common, ...out, '--patch', '0', '--colours', 'jet']),
      SettingError,
      /--colours takes viridis/,
    ],
    [
      'components',
      () => pcaCommand([...common, ...out, '--components', '0,1']),
      SettingError,
      /--components takes three numbers/,
    ],
    [
      'more components than channels',
      () => pcaCommand([...common, ...out, '--components', '0,1,20']),
      SettingError,
      /have components 0 to 15/,
    ],
    [
      'clusters of few patches',
      () => kMeansCommand([...common, ...out, '--k', '20', '--size', '32']),
      SettingError,
      /--k 20 is more than the 3 × 4 patches/,
    ],
  ];
  for (const [what, work, kind, message] of refusals)
    it(`refuses ${what} in one sentence`, async () => {
      await assert.rejects(work, (error: Error) => {
        assert.ok(error instanceof kind, `${error}`);
        assert.match(error.message, message);
        return true;
      });
    });
});
