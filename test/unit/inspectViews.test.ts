import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type OpenTower, openReference } from '../../trainer/commands/openTower.ts';
import { type CocoSegmentation, maskOfPolygons } from '../../trainer/dense/cocoMask.ts';
import { fromFloat16 } from '../../trainer/float16.ts';
import { decodeImage } from '../../trainer/images/decode.ts';
import { cropImage, type PixelBox, teacherImage } from '../../trainer/images/geometry.ts';
import type { Raster } from '../../trainer/images/raster.ts';
import type { FeaturesParams, FeaturesResult, InspectBox } from '../../trainer/inspect/protocol.ts';
import { fixturePath } from '../support/goldenTensors.ts';
import {
  endInspectServices,
  type InspectClient,
  modelAt,
  refusal,
  startInspectService,
} from '../support/inspectClient.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  tinyArchitecture,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

const size = 64;
const side = size / tinyArchitecture.patchSize;

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, index) => sum + value * b[index]!, 0);

describe('inspector service: views', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  let service: InspectClient;
  let tower: OpenTower;
  let raster: Raster;
  let features: FeaturesResult;
  const subject = () => ({
    model: modelAt(folder.file('model')),
    image: folder.file('images/image-01.png'),
    size,
  });
  const query = (changes: Partial<FeaturesParams> = {}): FeaturesParams => ({
    ...subject(),
    readOut: 'value',
    layer: null,
    ...changes,
  });
  const isPadding = (patch: number): boolean =>
    Math.floor(patch / side) >= features.valid.rows || patch % side >= features.valid.columns;

  before(async () => {
    await buildTrainer();
    folder = await temporaryFolder();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 2);
    tower = await openReference(modelAt(folder.file('model')), 'cpu', 1);
    raster = await decodeImage(subject().image);
    service = startInspectService(folder.file('cache'));
    features = await service.request('features', query());
    assert.ok(features.valid.rows * features.valid.columns < side * side, 'the image needs padding');
  });

  after(async () => {
    await tower.dispose();
    assert.deepEqual(await service.close(), { status: 0, stderr: '' });
    endInspectServices();
    await folder.remove();
  });

  it('clusters each map into assignments to the nearest mean, with padding left out', async () => {
    const request = { k: 3, seed: 5, restarts: 4, smooth: false, reference: null };
    const { maps } = await service.request('kMeans', { keys: [features.key], ...request });
    const { labels, shares } = maps[0]!;
    const { file } = await service.request('mapFile', { key: features.key });
    const bytes = await readFile(file);
    const values = fromFloat16(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2));
    const rows = labels.map((_, patch) => values.subarray(patch * 16, patch * 16 + 16));
    assert.deepEqual(
      labels.map(label => label < 0),
      labels.map((_, patch) => isPadding(patch)),
    );
    const means = [0, 1, 2].map(cluster => {
      const members = rows.filter((_, patch) => labels[patch] === cluster);
      return Array.from({ length: 16 }, (_, channel) =>
        members.reduce((sum, row) => sum + row[channel]! / members.length, 0),
      );
    });
    const distance = (row: Float32Array, mean: number[]) => dot(mean, mean) - 2 * dot(row, mean);
    labels.forEach((label, patch) => {
      if (label < 0) return;
      const best = Math.min(...means.map(mean => distance(rows[patch]!, mean)));
      assert.ok(distance(rows[patch]!, means[label]!) <= best + 1e-2, `patch ${patch}`);
    });
    assert.ok(Math.abs(shares.reduce((sum, share) => sum + share) - 1) < 1e-9);
    const again = await service.request('kMeans', { keys: [features.key], ...request });
    assert.deepEqual(again.maps, maps);
  });

  it('gives clusters of another size the numbers of the reference', async () => {
    const other = await service.request('features', query({ size: 128 }));
    const request = { k: 3, seed: 5, restarts: 4, smooth: false, reference: features.key };
    const { maps } = await service.request('kMeans', { keys: [other.key, features.key], ...request });
    const [large, small] = maps as [(typeof maps)[0], (typeof maps)[0]];
    const agreement = (names: readonly number[]): number =>
      large.labels.filter((label, patch) => {
        const cell = (Math.floor(patch / 16) >> 1) * side + ((patch % 16) >> 1);
        return label >= 0 && names[label] === small.labels[cell];
      }).length;
    const permutations = [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ];
    assert.equal(agreement([0, 1, 2]), Math.max(...permutations.map(agreement)));
  });

  it('refuses more clusters or components than there are', async () => {
    const few = await service.request('features', query({ size: 8 }));
    const request = { keys: [few.key], k: 2, seed: 0, restarts: 1, smooth: false, reference: null };
    assert.match(
      (await refusal(service.request('kMeans', request))).message,
      /1 patches cannot be divided into 2/,
    );
    const pca = await refusal(service.request('pca', { keys: [features.key], highest: 40 }));
    assert.match(pca.message, /have 16 components, not 41/);
  });

  it('gives coordinates along eight components, with their shares of the variance', async () => {
    const answer = await service.request('pca', { keys: [features.key], highest: 2 });
    const bytes = new Uint8Array(Buffer.from(answer.maps[0]!.coordinates, 'base64'));
    const coordinates = new Float32Array(bytes.buffer);
    const cells = features.valid.rows * features.valid.columns;
    assert.equal(coordinates.length, cells * 8);
    const variances = Array.from({ length: 8 }, (_, component) => {
      const own = coordinates.filter((_, index) => index % 8 === component);
      assert.ok(Math.abs(own.reduce((sum, value) => sum + value, 0) / cells) < 1e-5, 'they are centred');
      return dot(own, own) / (cells - 1);
    });
    // Shares are variances divided by the same total.
    const total = variances[0]! / answer.explainedVariance[0]!;
    answer.explainedVariance.forEach((share, component) => {
      assert.ok(Math.abs(share - variances[component]! / total) < 1e-5);
      assert.ok(component === 0 || share <= answer.explainedVariance[component - 1]!);
    });
    assert.ok(answer.explainedVariance.reduce((sum, share) => sum + share) <= 1 + 1e-6);
    const more = await service.request('pca', { keys: [features.key], highest: 9 });
    assert.equal(more.explainedVariance.length, 10);
  });

  it('reads the patches of a grid as it reads regions of the same boxes', async () => {
    const grid = { ...subject(), teacher: null, rows: 2, columns: 2 };
    const value = await service.request('patches', grid);
    for (const readOut of ['tokens', 'maskAttention'] as const) {
      const patches = await service.request('patches', { ...grid, readOut, layer: null });
      const { boxes } = patches;
      const regions = await service.request('regions', { ...subject(), teacher: null, boxes, readOut });
      assert.deepEqual(patches.cosines, regions.cosines);
      assert.notDeepEqual(patches.cosines, value.cosines);
    }
  });

  it('compares the patches of a grid with the teacher as the library does', async () => {
    const fractions: number[] = [];
    service.onProgress(({ id, fraction }) => {
      if (id === 3) fractions.push(fraction);
    });
    const { boxes, cosines, mean } = await service.request('patches', {
      ...subject(),
      id: 3,
      teacher: null,
      rows: 2,
      columns: 3,
    });
    assert.equal(boxes.length, 6);
    assert.deepEqual(
      fractions,
      [...fractions].sort((a, b) => a - b),
    );
    assert.ok(fractions.some(fraction => fraction >= 0.3 && fraction < 1));
    assert.deepEqual(boxes[5]!.slice(2), [raster.width, raster.height]);
    const dense = await tower.features.dense(raster, size);
    const pooled = tower.features.pool(dense, raster, size, boxes);
    const crops = await tower.features.crops(raster, boxes);
    cosines.forEach((cosine, box) => {
      const expected = dot(pooled.subarray(box * 16, box * 16 + 16), crops.subarray(box * 16, box * 16 + 16));
      assert.ok(Math.abs(cosine - expected) < 5e-4, `box ${box}: ${cosine} and ${expected}`);
    });
    assert.ok(Math.abs(mean - cosines.reduce((sum, cosine) => sum + cosine) / 6) < 1e-12);
  });

  it('ranks the true crop of each region, and refuses a region without pixels', async () => {
    const boxes: InspectBox[] = [
      [0, 0, 20, 20],
      [10, 5, 40, 30],
      [0, 15, 30, 40],
    ];
    const { cosines, ranks, top1 } = await service.request('regions', { ...subject(), teacher: null, boxes });
    const dense = await tower.features.dense(raster, size);
    const pooled = tower.features.pool(dense, raster, size, boxes);
    const crops = await tower.features.crops(raster, boxes);
    const row = (values: Float32Array, index: number) => values.subarray(index * 16, index * 16 + 16);
    boxes.forEach((_, region) => {
      const all = boxes.map((_, crop) => dot(row(pooled, region), row(crops, crop)));
      assert.ok(Math.abs(cosines[region]! - all[region]!) < 5e-4);
      const sorted = [...all].sort((a, b) => b - a);
      assert.equal(ranks[region], sorted.indexOf(all[region]!) + 1);
    });
    assert.equal(top1, ranks.filter(rank => rank === 1).length / 3);
    const empty = await refusal(
      service.request('regions', { ...subject(), teacher: null, boxes: [[5, 5, 5, 9]] }),
    );
    assert.match(empty.message, /Region 1 cannot be cut out/);
  });

  it('pools over masks where there are any, as polygons and as run lengths', async () => {
    const { width, height } = raster;
    const box: InspectBox = [0, 0, 40, 30];
    const polygons = [[2, 1, 37, 4, 20, 29]];
    const { pixels } = maskOfPolygons(polygons, width, height);
    const columns = Array.from({ length: width * height }, (_, place) => {
      const [x, y] = [Math.floor(place / height), place % height];
      return pixels[y * width + x]!;
    });
    const counts: number[] = [0];
    columns.forEach((pixel, place) => {
      if (pixel !== (place === 0 ? 0 : columns[place - 1])) counts.push(0);
      counts[counts.length - 1]!++;
    });
    const runs: CocoSegmentation = { size: [height, width], counts };
    const regions = (masks: (CocoSegmentation | null)[]) =>
      service.request('regions', { ...subject(), teacher: null, boxes: masks.map(() => box), masks });
    const { cosines } = await regions([null, polygons, runs, [[1, 1, 1.1, 1, 1.1, 1.1]]]);
    assert.ok(Math.abs(cosines[1]! - cosines[0]!) > 1e-4, 'the mask changes nothing');
    assert.equal(cosines[2], cosines[1]);
    assert.equal(cosines[3], cosines[0], 'a mask without a pixel is pooled by its box');

    // The definition, cell by cell, from a map four times as fine as the pixels.
    const dense = await tower.features.dense(raster, size);
    const perPixel = size / Math.max(width, height) / (size / side);
    const pooled = new Float64Array(16);
    const fine = 4;
    for (let y = 0; y < height * fine; y++)
      for (let x = 0; x < width * fine; x++) {
        if (pixels[Math.floor(y / fine) * width + Math.floor(x / fine)] === 0) continue;
        const column = Math.floor(((x + 0.5) / fine) * perPixel);
        const cell = Math.floor(((y + 0.5) / fine) * perPixel) * side + column;
        for (let channel = 0; channel < 16; channel++)
          pooled[channel]! += dense.features[cell * 16 + channel]!;
      }
    const norm = Math.sqrt(pooled.reduce((sum, value) => sum + value * value, 0));
    const crop = await tower.features.crops(raster, [box]);
    const expected = pooled.reduce((sum, value, channel) => sum + (value / norm) * crop[channel]!, 0);
    assert.ok(Math.abs(cosines[1]! - expected) < 1e-3, `${cosines[1]} and ${expected}`);

    const damaged = await refusal(regions([null, { size: [height + 1, width], counts }]));
    assert.match(damaged.message, /Region 2: the mask has .* belongs to another image/);
    assert.match((await refusal(regions([[[1, 2]]]))).message, /Region 1: a polygon must be a list/);
  });

  it('shows a crop as the teacher sees it', async () => {
    const box: PixelBox = [3, 4, 30, 20];
    const { side: pixels, rgb } = await service.request('crop', { ...subject(), box: [...box] });
    assert.equal(pixels, tinyArchitecture.imageSize);
    const expected = teacherImage(cropImage(raster, box), pixels);
    assert.deepEqual(new Uint8Array(Buffer.from(rgb, 'base64')), expected);
  });

  it('measures the norms of the tokens of a layer', async () => {
    for (const layer of [1, null]) {
      const { norms, rows, columns, valid } = await service.request('norms', query({ layer }));
      assert.deepEqual([rows, columns, valid], [side, side, features.valid]);
      const tokens = await tower.features.tokens(raster, size, layer ?? tinyArchitecture.layers);
      const { width } = tinyArchitecture;
      norms.forEach((norm, patch) => {
        const token = tokens.subarray((patch + 1) * width, (patch + 2) * width);
        assert.ok(Math.abs(norm - Math.sqrt(dot(token, token))) < 1e-4);
      });
    }
  });

  it('gives each head and the rollout, of the class token and of a patch', async () => {
    const { heads } = tinyArchitecture;
    const tokens = side * side + 1;
    const layers: Float32Array[] = [];
    await tower.features.attentionByLayer(raster, size, 2, weights => layers.push(weights));
    // The whole matrix product, layer by layer, with the identity for the residual path.
    const mixed = layers.map(weights =>
      Array.from({ length: tokens }, (_, from) =>
        Array.from({ length: tokens }, (_, to) => {
          let sum = 0;
          for (let head = 0; head < heads; head++) sum += weights[(head * tokens + from) * tokens + to]!;
          return 0.5 * (sum / heads) + (from === to ? 0.5 : 0);
        }),
      ),
    );
    const rollout = (query: number): number[] =>
      Array.from({ length: tokens }, (_, to) =>
        mixed[1]![query]!.reduce((sum, weight, via) => sum + weight * mixed[0]![via]![to]!, 0),
      );
    for (const query of [null, 11]) {
      const answer = await service.request('attention', { ...subject(), layer: 2, query });
      assert.deepEqual([answer.heads, answer.rows, answer.columns], [heads, side, side]);
      const bytes = await readFile(answer.file);
      const maps = new Float32Array(
        bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength),
      );
      assert.equal(maps.length, (heads + 1) * (tokens - 1));
      const token = query === null ? 0 : query + 1;
      const close = (map: number, expected: ArrayLike<number>) => {
        const own = maps.subarray(map * (tokens - 1), (map + 1) * (tokens - 1));
        own.forEach((value, patch) => {
          assert.ok(Math.abs(value - expected[patch + 1]!) < 1e-6, `map ${map}, patch ${patch}`);
        });
      };
      for (let head = 0; head < heads; head++)
        close(
          head,
          layers[1]!.subarray((head * tokens + token) * tokens, (head * tokens + token + 1) * tokens),
        );
      close(heads, rollout(token));
      assert.deepEqual(await service.request('attention', { ...subject(), layer: 2, query }), answer);
    }
    const beyond = await refusal(service.request('attention', { ...subject(), layer: 2, query: 64 }));
    assert.match(beyond.message, /there is no patch 64/);
  });

  it('describes the model', async () => {
    const { hash, ...description } = await service.request('describe', {
      model: modelAt(folder.file('model')),
    });
    assert.match(hash, /^[0-9a-f]{64}$/);
    assert.deepEqual(description, {
      name: 'ViT · openclip',
      patchSize: 8,
      sizeStep: 1,
      imageSize: 32,
      layers: 2,
      heads: 2,
      dimension: 16,
      readOuts: ['value', 'tokens', 'queryQuery', 'keyKey', 'valueValue'],
      maskAttention: true,
      attention: true,
      steps: [],
      step: null,
      source: null,
      warnings: [],
    });
  });

  it('looks through every family of towers, and says what a ResNet has not', async () => {
    const eva = modelAt(path.resolve(fixturePath('eva02')));
    const described = await service.request('describe', { model: eva });
    const evaSize = 4 * described.patchSize;
    const keys = new Set<string>();
    for (const readOut of described.readOuts)
      keys.add((await service.request('features', query({ model: eva, size: evaSize, readOut }))).key);
    assert.equal(keys.size, 5);
    const attention = { ...subject(), model: eva, size: evaSize, layer: described.layers, query: 3 };
    assert.equal((await service.request('attention', attention)).heads, described.heads);

    const resnet = modelAt(path.resolve(fixturePath('resnet')));
    const {
      patchSize,
      sizeStep,
      readOuts,
      attention: hasAttention,
    } = await service.request('describe', { model: resnet });
    assert.deepEqual([readOuts, hasAttention, sizeStep], [['value'], false, patchSize]);
    const own = { model: resnet, size: 4 * patchSize };
    assert.equal((await service.request('features', query(own))).rows, 4);
    const odd = await refusal(service.request('features', query({ ...own, size: 4 * patchSize + 1 })));
    assert.equal(odd.name, 'sizeUnsuitable');
    assert.match(odd.message, /The size must be a multiple of 32 for a ResNet/);
    assert.equal(odd.data.suggestedSize, 4 * patchSize);
    const refused = [
      service.request('features', query({ ...own, readOut: 'tokens' })),
      service.request('norms', query(own)),
      service.request('attention', { ...subject(), ...own, layer: 1, query: null }),
    ];
    for (const answer of await Promise.all(refused.map(refusal)))
      assert.equal(answer.name, 'readOutUnsupported');
    const patches = await service.request('patches', {
      ...subject(),
      ...own,
      teacher: null,
      rows: 2,
      columns: 2,
    });
    assert.equal(patches.cosines.length, 4);
  });
});
