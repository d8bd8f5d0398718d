import assert from 'node:assert/strict';
import {
  clusterColour,
  clusterPalette,
  colourIndex,
  colourMapNames,
  colourTable,
  cssColour,
  isColourMapName,
} from '../../trainer/dense/colourMaps.ts';
import { clusterLegend } from '../../trainer/dense/legend.ts';

type Triple = [number, number, number];

const linear = (value: number): number =>
  value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;

const apply = (matrix: readonly Triple[], [x, y, z]: Triple): Triple =>
  matrix.map(([a, b, c]) => a * x + b * y + c * z) as Triple;

/** Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB. */
const visions: Record<string, Triple[]> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protan: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deutan: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
};

/** CIELAB under D65 of an sRGB colour as a vision sees it. */
function labOf(rgb: Triple, vision: Triple[]): Triple {
  const seen = apply(vision, rgb.map(linear) as Triple).map(value =>
    Math.min(Math.max(value, 0), 1),
  ) as Triple;
  const xyz = apply(
    [
      [0.4124564, 0.3575761, 0.1804375],
      [0.2126729, 0.7151522, 0.072175],
      [0.0193339, 0.119192, 0.9503041],
    ],
    seen,
  );
  const white = [0.95047, 1, 1.08883];
  const [x, y, z] = xyz.map((value, index) => {
    const share = value / white[index]!;
    return share > 0.008856 ? Math.cbrt(share) : 7.787 * share + 16 / 116;
  }) as Triple;
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

describe('colour maps', () => {
  // First, quarter, middle, three quarters and last of the 256 published colours.
  const published: Record<string, string[]> = {
    viridis: ['#440154', '#3b528b', '#21918c', '#5ec962', '#fde725'],
    cividis: ['#00224e', '#434e6c', '#7d7c78', '#bcae6c', '#fee838'],
    magma: ['#000004', '#51127c', '#b73779', '#fc8961', '#fcfdbf'],
    inferno: ['#000004', '#57106e', '#bc3754', '#f98e09', '#fcffa4'],
    plasma: ['#0d0887', '#7e03a8', '#cc4778', '#f89540', '#f0f921'],
  };
  for (const [name, colours] of Object.entries(published))
    it(`${name} has the published colours`, () => {
      assert.ok(isColourMapName(name));
      const table = colourTable(name);
      [0, 64, 128, 192, 255].forEach((index, position) => {
        const expected = Number.parseInt(colours[position]!.slice(1), 16);
        [16, 8, 0].forEach((shift, channel) => {
          const difference = table[3 * index + channel]! - ((expected >> shift) & 255);
          assert.ok(Math.abs(difference) <= 1, `${name} ${index}`);
        });
      });
    });

  it('rise in lightness for any colour vision, but for the diverging one', () => {
    for (const name of colourMapNames.filter(name => name !== 'difference'))
      for (const [vision, matrix] of Object.entries(visions)) {
        const table = colourTable(name);
        const lightness = Array.from({ length: 18 }, (_, step) => {
          const start = step * 45;
          return labOf([table[start]!, table[start + 1]!, table[start + 2]!], matrix)[0];
        });
        for (let step = 1; step < lightness.length; step++)
          assert.ok(lightness[step]! > lightness[step - 1]!, `${name}, ${vision}, ${step}`);
      }
  });

  it('index values within their range', () => {
    assert.deepEqual(
      [-1, 0, 0.5, 1, 2].map(value => colourIndex(value, 0, 1)),
      [0, 0, 128, 255, 255],
    );
    assert.equal(colourIndex(3, 3, 3), 128);
    assert.ok(!isColourMapName('toString'));
  });
});

describe('the cluster palette', () => {
  const colours = Array.from({ length: 20 }, (_, cluster) => clusterColour(cluster));

  it('has twenty colours and then starts over', () => {
    assert.equal(clusterPalette.length, 60);
    assert.equal(new Set(colours.map(cssColour)).size, 20);
    assert.deepEqual(clusterColour(20), clusterColour(0));
    assert.equal(cssColour(clusterColour(0)), '#0072b2');
  });

  for (const [vision, matrix] of Object.entries(visions))
    it(`keeps every two colours apart for ${vision} vision`, () => {
      const labs = colours.map(colour => labOf(colour, matrix));
      for (let one = 0; one < 20; one++)
        for (let other = 0; other < one; other++) {
          const distance = Math.hypot(...labs[one]!.map((value, axis) => value - labs[other]![axis]!));
          // About 2.3 is the least that is noticed side by side.
          assert.ok(distance > 16, `${other} and ${one}: ${distance}`);
        }
    });
});

describe('legends', () => {
  it('name clusters, their colours and shares', () => {
    assert.deepEqual(clusterLegend([0.75, 0.25], [1, 0]), [
      { cluster: 0, colour: '#e69f00', share: 0.75 },
      { cluster: 1, colour: '#0072b2', share: 0.25 },
    ]);
  });
});
