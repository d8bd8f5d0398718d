import assert from 'node:assert/strict';
import fc from 'fast-check';
import { clusterColour } from '../../trainer/dense/colourMaps.ts';
import { toUnitRows } from '../../trainer/dense/featureMap.ts';
import { toUnitMap } from '../../trainer/dense/similarity.ts';
import {
  clusterWords,
  mapOfWord,
  nearestWordLabels,
  nearestWords,
  parseWords,
  segmentationLayer,
  type Words,
  wordCosines,
  wordProbabilities,
  wordShares,
} from '../../trainer/dense/words.ts';
import { randomMap } from '../support/numericSamples.ts';

const dimension = 10;
const names = ['sky', 'sea', 'sand', 'boat', 'gull'];
const count = names.length;
const words: Words = {
  names,
  dimension,
  data: toUnitRows(
    Float32Array.from({ length: count * dimension }, (_, index) => Math.sin(7 * index + 1)),
    dimension,
  ),
};
const map = randomMap(6, 6, dimension, { rows: 5, columns: 4 });
const unit = toUnitMap(map);
const cosines = wordCosines(unit, words);
const isPadding = (cell: number): boolean => Math.floor(cell / 6) >= 5 || cell % 6 >= 4;
const validCells = Array.from({ length: 36 }, (_, cell) => cell).filter(cell => !isPadding(cell));

/** In double precision, from the features as they were before anything was normalised. */
function cosine(feature: ArrayLike<number>, word: number): number {
  let [product, squares] = [0, 0];
  for (let channel = 0; channel < dimension; channel++) {
    product += feature[channel]! * words.data[word * dimension + channel]!;
    squares += feature[channel]! ** 2;
  }
  return product / Math.sqrt(squares);
}

const featureAt = (cell: number): Float32Array =>
  map.features.subarray(cell * dimension, (cell + 1) * dimension);

/** Softmax as its definition has it, in double precision. */
function softmax(values: readonly number[], temperature: number): number[] {
  const powers = values.map(value => Math.exp(value / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map(power => power / sum);
}

describe('words on dense features', () => {
  it('gives the cosine of each patch with each word, nothing on padding', () => {
    for (let cell = 0; cell < 36; cell++)
      for (let word = 0; word < count; word++) {
        const found = cosines[cell * count + word]!;
        if (isPadding(cell)) assert.ok(Number.isNaN(found));
        else assert.ok(Math.abs(found - cosine(featureAt(cell), word)) < 1e-6, `cell ${cell}, word ${word}`);
      }
    const second = mapOfWord(cosines, count, 2);
    assert.deepEqual(
      [...second],
      Array.from({ length: 36 }, (_, cell) => cosines[cell * count + 2]!),
    );
  });

  it('refuses words of another embedding', () => {
    const other = { ...words, dimension: 5, data: words.data.slice(0, 25) };
    assert.throws(() => wordCosines(unit, other), /words of 5 channels do not fit features of 10/);
  });

  it('labels each patch with its nearest word, the first of equals', () => {
    nearestWordLabels(cosines, count).forEach((label, cell) => {
      if (isPadding(cell)) assert.equal(label, -1);
      else {
        const all = names.map((_, word) => cosine(featureAt(cell), word));
        assert.equal(label, all.indexOf(Math.max(...all)));
      }
    });
    assert.deepEqual([...nearestWordLabels(Float32Array.of(0.5, 0.5, 0.1), 3)], [0]);
  });

  it('spreads the patch over the words as a softmax does, at any temperature', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.02, max: 2, noNaN: true }), temperature => {
        const found = wordProbabilities(cosines, count, temperature);
        for (const cell of validCells) {
          const own = names.map((_, word) => cosine(featureAt(cell), word));
          softmax(own, temperature).forEach((expected, word) => {
            // An error of 1e-7 in a cosine is divided by the temperature.
            const error = Math.abs(found[cell * count + word]! - expected);
            assert.ok(error < 1e-6 / temperature, `cell ${cell}, word ${word}: off by ${error}`);
          });
        }
      }),
    );
  });

  it('stays finite at a temperature that a plain softmax does not survive', () => {
    const found = wordProbabilities(cosines, count, 1e-6);
    const hard = wordProbabilities(cosines, count, 0);
    for (const cell of validCells)
      for (let word = 0; word < count; word++)
        assert.ok(Math.abs(found[cell * count + word]! - hard[cell * count + word]!) < 1e-3);
  });

  it('adds the shares of an image up to one, and counts patches at temperature 0', () => {
    const labels = nearestWordLabels(cosines, count);
    const hard = wordShares(wordProbabilities(cosines, count, 0), count, map);
    hard.forEach((share, word) => {
      const expected = validCells.filter(cell => labels[cell] === word).length / validCells.length;
      assert.ok(Math.abs(share - expected) < 1e-12);
    });
    const soft = wordShares(wordProbabilities(cosines, count, 0.3), count, map);
    assert.ok(Math.abs(soft.reduce((sum, share) => sum + share) - 1) < 1e-6);
    assert.notDeepEqual(soft, hard);
  });

  it('draws flat colours at temperature 0 and mixes them by probability above', () => {
    const flat = segmentationLayer(cosines, count, 0);
    assert.ok(flat.kind === 'labels');
    assert.deepEqual(flat.labels, nearestWordLabels(cosines, count));
    const mixed = segmentationLayer(cosines, count, 0.2);
    assert.ok(mixed.kind === 'colours');
    for (let cell = 0; cell < 36; cell++) {
      const own = softmax(
        names.map((_, word) => cosine(featureAt(cell), word)),
        0.2,
      );
      for (let channel = 0; channel < 3; channel++) {
        const expected = isPadding(cell)
          ? 0
          : own.reduce((sum, share, word) => sum + share * clusterColour(word)[channel]!, 0);
        assert.ok(Math.abs(mixed.rgb[cell * 3 + channel]! - expected) <= 0.51, `cell ${cell}`);
      }
    }
  });

  it('ranks the words of a feature', () => {
    const feature = unit.features.subarray(13 * dimension, 14 * dimension);
    const found = nearestWords(feature, words, 3);
    const all = names.map((_, word) => ({ word, cosine: cosine(featureAt(13), word) }));
    const expected = all.sort((a, b) => b.cosine - a.cosine).slice(0, 3);
    assert.deepEqual(
      found.map(({ word }) => word),
      expected.map(({ word }) => word),
    );
    found.forEach((near, rank) => {
      assert.ok(Math.abs(near.cosine - expected[rank]!.cosine) < 1e-6);
    });
    assert.equal(nearestWords(feature, words, 99).length, count);
  });

  it('names a cluster by the word nearest to the mean of its features, and an empty one not at all', () => {
    const labels = Int16Array.from({ length: 36 }, (_, cell) => (isPadding(cell) ? -1 : cell % 3));
    const found = clusterWords(unit, labels, 4, words);
    assert.equal(found[3], null);
    for (const cluster of [0, 1, 2]) {
      const members = validCells.filter(cell => labels[cell] === cluster);
      const mean = Array.from({ length: dimension }, (_, channel) =>
        members.reduce((sum, cell) => {
          const norm = Math.hypot(...featureAt(cell));
          return sum + featureAt(cell)[channel]! / norm / members.length;
        }, 0),
      );
      const all = names.map((_, word) => cosine(mean, word));
      const best = Math.max(...all);
      assert.equal(found[cluster]!.word, all.indexOf(best));
      assert.ok(Math.abs(found[cluster]!.cosine - best) < 1e-6);
    }
  });

  it('reads words between commas and line breaks, each once', () => {
    assert.deepEqual(parseWords(' sky, blue sea\r\nsand,,\n\nsky '), ['sky', 'blue sea', 'sand']);
    assert.deepEqual(parseWords(' ,\n'), []);
  });
});
