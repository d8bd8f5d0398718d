import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import type { Words } from '../../trainer/dense/words.ts';
import { resizeBilinear } from '../../trainer/images/bilinear.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { averagePrecision } from '../../trainer/segment/averagePrecision.ts';
import { ConfusionMatrix, confusionsOf, ignoredLabel } from '../../trainer/segment/confusionMatrix.ts';
import { readPngIndices } from '../../trainer/segment/pngIndices.ts';
import { RegionNaming, regionScores } from '../../trainer/segment/regionNaming.ts';
import { nameEveryPixel } from '../../trainer/segment/wordMap.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

function chunk(kind: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(kind, 'latin1'), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  // The checksum stays zero: damage shows in the pixels' own checksum.
  return Buffer.concat([frame.subarray(0, 4), named, frame.subarray(4)]);
}

interface MadePng {
  width: number;
  height: number;
  depth: number;
  /** 0 grey, 3 palette. */
  colour: number;
  values: readonly number[];
  interlace?: number;
}

/** A PNG whose rows are filtered by turns, written from the specification's definitions of the filters. */
function pngOf({ width, height, depth, colour, values, interlace = 0 }: MadePng): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlace], 8);
  const bits = values.map(value => value.toString(2).padStart(depth, '0'));
  const rows = Array.from({ length: height }, (_, y) => {
    const text = bits.slice(y * width, (y + 1) * width).join('');
    const padded = text.padEnd(Math.ceil(text.length / 8) * 8, '0');
    return (padded.match(/.{8}/g) ?? []).map(byte => Number.parseInt(byte, 2));
  });
  const step = Math.max(depth / 8, 1);
  const filtered = rows.map((row, y) => {
    const filter = y % 5;
    const bytes = row.map((byte, at) => {
      const a = row[at - step] ?? 0;
      const b = rows[y - 1]?.[at] ?? 0;
      const c = rows[y - 1]?.[at - step] ?? 0;
      const p = a + b - c;
      const nearest = [a, b, c].reduce((best, each) =>
        Math.abs(p - each) < Math.abs(p - best) ? each : best,
      );
      return (byte - [0, a, b, Math.floor((a + b) / 2), nearest][filter]! + 256) % 256;
    });
    return Buffer.from([filter, ...bytes]);
  });
  const palette = colour === 3 ? [chunk('PLTE', Buffer.alloc(3 * 2 ** depth, 7))] : [];
  const parts = [chunk('IHDR', header), ...palette, chunk('IDAT', deflateSync(Buffer.concat(filtered)))];
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...parts, chunk('IEND', Buffer.alloc(0))]);
}

describe('label images', () => {
  let folder: TemporaryFolder;
  let file: string;

  before(async () => {
    folder = await temporaryFolder();
    file = folder.file('label.png');
  });
  after(() => folder.remove());

  for (const [depth, colour] of [
    ...[1, 2, 4, 8, 16].map(depth => [depth, 0] as const),
    ...[1, 2, 4, 8].map(depth => [depth, 3] as const),
  ])
    it(`give the stored values: ${depth} bits, ${colour === 3 ? 'palette' : 'grey'}`, async () => {
      const [width, height] = [13, 11];
      const random = keyedRandom(1, depth, colour);
      const values = Array.from({ length: width * height }, () => random.uint(2 ** depth));
      await writeFile(file, pngOf({ width, height, depth, colour, values }));
      const read = await readPngIndices(file);
      assert.deepEqual([read.width, read.height, [...read.values]], [width, height, values]);
    });

  it('give what another program wrote, filtered as it likes', async () => {
    const random = keyedRandom(2, 'grey');
    const values = Uint8Array.from({ length: 64 * 40 }, (_, at) => (at % 64) + random.uint(3));
    await sharp(values, { raw: { width: 64, height: 40, channels: 1 } })
      .toColourspace('b-w')
      .png({ adaptiveFiltering: true })
      .toFile(file);
    assert.deepEqual([...(await readPngIndices(file)).values], [...values]);
  });

  it('are refused by name when they are damaged, coloured, interlaced or absurdly large', async () => {
    const good = { width: 4, height: 3, depth: 8, colour: 3, values: Array.from({ length: 12 }, () => 1) };
    const refuses = async (bytes: Buffer, reason: RegExp): Promise<void> => {
      await writeFile(file, bytes);
      await assert.rejects(readPngIndices(file), (error: unknown) => {
        assert.ok(error instanceof FileError);
        assert.match(error.message, /label\.png: /);
        return reason.test(error.reason);
      });
    };
    await refuses(Buffer.from('GIF89a'), /no PNG file/);
    await refuses(pngOf(good).subarray(0, 60), /ends too early|no header|damaged/);
    await refuses(pngOf({ ...good, interlace: 1 }), /interlaced/);
    await refuses(pngOf({ ...good, colour: 2 }), /colours instead of a palette/);
    // Fewer, and far more, bytes than the header says.
    await refuses(pngOf({ ...good, height: 5 }), /pixels are damaged/);
    const bomb = Buffer.concat([
      pngOf(good).subarray(0, 33),
      chunk('IDAT', deflateSync(Buffer.alloc(1 << 24))),
    ]);
    await refuses(bomb, /pixels are damaged/);
    const huge = pngOf(good);
    huge.writeUInt32BE(1_000_000, 16);
    huge.writeUInt32BE(1_000_000, 20);
    await refuses(huge, /would have 1000000 × 1000000 pixels/);
  });
});

/** Words and cells of unit norm. */
function randomRows(key: string, rows: number, dimension: number): Float32Array {
  const random = keyedRandom(4, key);
  const data = Float32Array.from({ length: rows * dimension }, () => random.float() - 0.5);
  for (let row = 0; row < rows; row++) {
    const norm = Math.hypot(...data.subarray(row * dimension, (row + 1) * dimension));
    for (let at = row * dimension; at < (row + 1) * dimension; at++) data[at]! /= norm;
  }
  return data;
}

const dimension = 6;
const wordsOf = (count: number): Words => ({
  names: Array.from({ length: count }, (_, word) => `word ${word}`),
  dimension,
  data: randomRows('words', count, dimension),
});

describe('naming every pixel', () => {
  const words = wordsOf(9);
  const side = 8;
  const features = randomRows('cells', side * side, dimension);

  /** Cosines [words, rows, columns] of the cells that hold image, added up in double precision. */
  const planes = (rows: number, columns: number): Float32Array =>
    Float32Array.from({ length: 9 * rows * columns }, (_, at) => {
      const [word, cell] = [Math.floor(at / (rows * columns)), at % (rows * columns)];
      const place = Math.floor(cell / columns) * side + (cell % columns);
      let sum = 0;
      for (let channel = 0; channel < dimension; channel++)
        sum += features[place * dimension + channel]! * words.data[word * dimension + channel]!;
      return sum;
    });

  for (const [name, width, height, rows, columns] of [
    ['a square image', 128, 128, 8, 8],
    ['padding on the right', 64, 128, 8, 4],
    ['padding below, an image smaller than its map', 32, 16, 4, 8],
  ] as const)
    it(`is the arg-max of maps enlarged as PyTorch enlarges them, without padding: ${name}`, () => {
      const map = { features, side, valid: { rows, columns }, patchSize: 8, size: 64 };
      const named = nameEveryPixel(map, words, width, height);
      const large = resizeBilinear(planes(rows, columns), rows, columns, height, width);
      const pixels = width * height;
      named.forEach((word, pixel) => {
        const values = Array.from({ length: 9 }, (_, other) => large[other * pixels + pixel]!);
        assert.ok(values[word]! >= Math.max(...values) - 1e-6, `pixel ${pixel}`);
      });
      assert.ok(new Set(named).size > 5);
    });

  it('follows the pixels of an image that ends within a patch', () => {
    // 100 × 50 pixels become 64 × 32, in patches of 12: five whole columns, the last row of patches is cut.
    const map = { features, side, valid: { rows: 3, columns: 5 }, patchSize: 12, size: 64 };
    const named = nameEveryPixel(map, words, 100, 50);
    const cosines = planes(3, 5);
    for (const [x, y] of [
      [0, 0],
      [50, 20],
      [99, 49],
      [37, 41],
    ] as const) {
      const column = Math.min(Math.max(((x + 0.5) * 0.64) / 12 - 0.5, 0), 4);
      const row = Math.min(Math.max(((y + 0.5) * 0.64) / 12 - 0.5, 0), 2);
      const [c, r] = [Math.floor(column), Math.floor(row)];
      const value = (word: number): number => {
        const at = (dr: number, dc: number): number =>
          cosines[word * 15 + Math.min(r + dr, 2) * 5 + Math.min(c + dc, 4)]!;
        const [u, v] = [column - c, row - r];
        return (1 - v) * ((1 - u) * at(0, 0) + u * at(0, 1)) + v * ((1 - u) * at(1, 0) + u * at(1, 1));
      };
      const values = Array.from({ length: 9 }, (_, word) => value(word));
      assert.ok(values[named[y * 100 + x]!]! >= Math.max(...values) - 1e-6, `${x}, ${y}`);
    }
  });
});

describe('the confusion matrix', () => {
  it('gives IoU and accuracies as sets of pixels give them', () => {
    const random = keyedRandom(6, 'labels');
    const classes = 7;
    const maps = Array.from({ length: 3 }, () => ({
      truth: Uint16Array.from({ length: 500 }, () => (random.uint(10) === 0 ? ignoredLabel : random.uint(5))),
      named: Uint16Array.from({ length: 500 }, () => random.uint(6)),
    }));
    const matrix = new ConfusionMatrix(classes);
    for (const { truth, named } of maps) matrix.add(confusionsOf(truth, named, classes));
    const numbers = matrix.numbers();
    const pairs = maps.flatMap(({ truth, named }) =>
      [...truth].map((label, at) => [label, named[at]!] as const).filter(([label]) => label !== ignoredLabel),
    );
    const ious: number[] = [];
    const accuracies: number[] = [];
    for (let place = 0; place < classes; place++) {
      const both = pairs.filter(([truth, named]) => truth === place && named === place).length;
      const either = pairs.filter(([truth, named]) => truth === place || named === place).length;
      const truth = pairs.filter(([label]) => label === place).length;
      const entry = numbers.perClass.find(each => each.class === place);
      if (either === 0) assert.equal(entry, undefined);
      else assert.equal(entry!.iou, both / either);
      if (truth > 0) [ious.push(both / either), accuracies.push(both / truth)];
    }
    const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    // Class 5 is named but never true, class 6 neither: they do not count in the means.
    assert.equal(ious.length, 5);
    assert.ok(Math.abs(numbers.miou! - mean(ious)) < 1e-12);
    assert.ok(Math.abs(numbers.meanAccuracy! - mean(accuracies)) < 1e-12);
    const right = pairs.filter(([truth, named]) => truth === named).length;
    assert.equal(numbers.pixelAccuracy, right / pairs.length);
    assert.equal(
      numbers.confusions.reduce((sum, { pixels }) => sum + pixels, 0),
      pairs.length,
    );
  });

  it('has no numbers without labelled pixels', () => {
    const matrix = new ConfusionMatrix(2);
    matrix.add(confusionsOf(Uint16Array.of(ignoredLabel), Uint16Array.of(1), 2));
    const { miou, pixelAccuracy, perClass } = matrix.numbers();
    assert.deepEqual([miou, pixelAccuracy, perClass], [null, null, []]);
  });
});

describe('average precision', () => {
  it('is right on a hand-made ranking', () => {
    // + − + : precision 1 up to recall 1/2, then 2/3.
    const scores = Float32Array.of(0.9, 0.8, 0.7);
    assert.ok(Math.abs(averagePrecision(scores, at => at !== 1)! - (0.5 + 0.5 * (2 / 3))) < 1e-12);
    assert.equal(
      averagePrecision(scores, () => false),
      null,
    );
    // What scores alike has no order: the one positive of two equals is found with precision 1/2.
    assert.equal(
      averagePrecision(Float32Array.of(0.5, 0.5), at => at === 0),
      0.5,
    );
  });

  it('equals its definition on random rankings with equal scores', () => {
    for (let round = 0; round < 30; round++) {
      const random = keyedRandom(8, 'ranking', round);
      const scores = Float32Array.from({ length: 40 }, () => random.uint(12) / 16);
      const positive = Array.from({ length: 40 }, () => random.uint(4) === 0);
      const total = positive.filter(Boolean).length;
      if (total === 0) continue;
      const atThreshold = [...new Set(scores)].map(threshold => {
        const taken = positive.filter((_, at) => scores[at]! >= threshold);
        const found = taken.filter(Boolean).length;
        return { found, precision: found / taken.length };
      });
      let sum = 0;
      for (let wanted = 1; wanted <= total; wanted++)
        sum += Math.max(
          ...atThreshold.filter(({ found }) => found >= wanted).map(({ precision }) => precision),
        );
      const actual = averagePrecision(scores, at => positive[at]!);
      assert.ok(Math.abs(actual! - sum / total) < 1e-12, `round ${round}`);
    }
  });
});

describe('naming given regions', () => {
  it('scores each region by the softmax of its cosines, and ranks all regions for each class', () => {
    const words = wordsOf(4);
    const features = randomRows('regions', 30, dimension);
    const truths = Array.from({ length: 30 }, (_, region) => region % 3);
    const naming = new RegionNaming(words.names.length);
    // In two parts, as images come.
    naming.add(regionScores(features.subarray(0, 12 * dimension), words), truths.slice(0, 12));
    naming.add(regionScores(features.subarray(12 * dimension), words), truths.slice(12));
    const { regions, map, accuracy, perClass } = naming.numbers();

    const probabilities = truths.map((_, region) => {
      const powers = words.names.map((_, word) => {
        let cosine = 0;
        for (let channel = 0; channel < dimension; channel++)
          cosine += features[region * dimension + channel]! * words.data[word * dimension + channel]!;
        return Math.exp(cosine / 0.01);
      });
      const sum = powers.reduce((total, power) => total + power, 0);
      return powers.map(power => power / sum);
    });
    const best = probabilities.map(row => row.indexOf(Math.max(...row)));
    assert.equal(regions, 30);
    assert.equal(accuracy, best.filter((word, region) => word === truths[region]).length / 30);
    const precisions = [0, 1, 2].map(
      place =>
        averagePrecision(
          Float32Array.from(probabilities, row => row[place]!),
          region => truths[region] === place,
        )!,
    );
    for (const { class: place, truth, named, ap } of perClass) {
      assert.equal(truth, truths.filter(each => each === place).length);
      assert.equal(named, best.filter(word => word === place).length);
      if (place === 3) assert.equal(ap, null);
      else assert.ok(Math.abs(ap! - precisions[place]!) < 1e-6);
    }
    assert.ok(Math.abs(map! - precisions.reduce((sum, ap) => sum + ap, 0) / 3) < 1e-6);
  });
});
