import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import sharp from 'sharp';
import { clusterColour, colourTable } from '../../trainer/dense/colourMaps.ts';
import { blendLayer, drawLayer, type Placement } from '../../trainer/dense/overlay.ts';
import { drawScene, landscape, overlayScenes, portrait } from '../support/overlayScenes.ts';

const pictures = fileURLToPath(new URL('../fixtures/overlays', import.meta.url));

/** One colour a cell that tells which cell it is. */
const cellColours = (placement: Placement) =>
  Uint8Array.from({ length: placement.rows * placement.columns * 3 }, (_, index) =>
    index % 3 === 0 ? Math.floor(index / 3) : 0,
  );

describe('overlays look as they did', () => {
  it('has a picture of each scene', async () => {
    const names = (await readdir(pictures)).map(name => path.parse(name).name).sort();
    assert.deepEqual(names, Object.keys(overlayScenes).sort());
  });

  for (const [name, scene] of Object.entries(overlayScenes))
    it(name, async () => {
      const { data, info } = await sharp(path.join(pictures, `${name}.png`))
        .ensureAlpha()
        .raw()
        .toBuffer({ resolveWithObject: true });
      assert.deepEqual([info.width, info.height], [scene.placement.width, scene.placement.height]);
      const drawn = drawScene(scene);
      const different = drawn.findIndex((value, index) => value !== data[index]);
      assert.equal(different, -1, `the first byte that differs is ${different}`);
    });
});

describe('a flat overlay', () => {
  it('puts each patch over the pixels it was made of', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 90 }),
        fc.integer({ min: 1, max: 90 }),
        fc.constantFrom(4, 8, 14),
        fc.integer({ min: 1, max: 6 }),
        (width, height, patchSize, cells) => {
          const size = patchSize * cells;
          const scale = size / Math.max(width, height);
          const fitted = [width, height].map(side => Math.round(side * scale));
          // Halves round to even in the real thing; leave out pictures where the two disagree.
          fc.pre([width, height].every(side => (side * scale) % 1 !== 0.5));
          fc.pre(fitted.every(side => side > 0));
          const [columns, rows] = fitted.map(side => Math.ceil(side / patchSize));
          const placement: Placement = {
            ...{ rows: cells, columns: cells, valid: { rows: rows!, columns: columns! } },
            ...{ patchSize, size, width, height, imageWidth: width, imageHeight: height },
          };
          const pixels = drawLayer({ kind: 'colours', rgb: cellColours(placement) }, placement, false);
          for (let y = 0; y < height; y++)
            for (let x = 0; x < width; x++) {
              const column = Math.floor(((x + 0.5) * fitted[0]!) / width / patchSize);
              const row = Math.floor(((y + 0.5) * fitted[1]!) / height / patchSize);
              assert.equal(pixels[(y * width + x) * 4], row * cells + column);
            }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('draws nothing where there is no value', () => {
    const { layer, placement } = overlayScenes['labels-flat']!;
    const labels = Int16Array.of(...new Array(16).fill(-1));
    const pixels = drawLayer({ ...layer, kind: 'labels', labels, colours: [] }, placement, false);
    assert.ok(pixels.every(value => value === 0));
  });

  it('repeats the palette when there are more clusters than colours', () => {
    const labels = new Int16Array(16).fill(21);
    const pixels = drawLayer(
      { kind: 'labels', labels, colours: [...new Array(22).keys()] },
      landscape,
      false,
    );
    assert.deepEqual(Array.from(pixels.subarray(0, 4)), [...clusterColour(1), 255]);
  });
});

describe('a smooth overlay', () => {
  /** Patches of 5 × 5 pixels, so that a pixel's centre is a patch's centre. */
  const whole: Placement = {
    ...{ rows: 4, columns: 4, valid: { rows: 4, columns: 4 }, patchSize: 5, size: 20 },
    ...{ width: 20, height: 20, imageWidth: 20, imageHeight: 20 },
  };
  const numbers = Float32Array.from({ length: 16 }, (_, index) => ((index * 7) % 16) / 15);

  it('shows the value itself at the centre of each patch, and means half-way', () => {
    const layer = { kind: 'values', values: numbers, low: 0, high: 1, colourMap: 'grey' } as const;
    const pixels = drawLayer(layer, whole, true);
    for (let row = 0; row < 4; row++)
      for (let column = 0; column < 4; column++) {
        const at = (5 * row + 2) * 20 + 5 * column + 2;
        assert.equal(pixels[at * 4], Math.round(255 * numbers[row * 4 + column]!));
      }
    const [left, right] = [numbers[0]!, numbers[1]!];
    // 2 and 3 pixels from the two centres.
    assert.equal(pixels[(2 * 20 + 4) * 4], Math.round(255 * (left * 0.6 + right * 0.4)));
  });

  it('never leaves the range of the values around', () => {
    const layer = { kind: 'values', values: numbers, low: 0, high: 1, colourMap: 'grey' } as const;
    const values = drawLayer(layer, whole, true).filter((_, index) => index % 4 === 0);
    assert.ok(values.every(value => value >= 0 && value <= 255));
    assert.equal(Math.max(...values), 255);
    assert.equal(Math.min(...values), 0);
  });

  it('invents no clusters', () => {
    const labels = Int16Array.from({ length: 16 }, (_, index) => (index * 5) % 7);
    const pixels = drawLayer({ kind: 'labels', labels, colours: [0, 1, 2, 3, 4, 5, 6] }, whole, true);
    const known = new Set([0, 1, 2, 3, 4, 5, 6].map(cluster => clusterColour(cluster).join()));
    for (let at = 0; at < pixels.length; at += 4)
      assert.ok(known.has(Array.from(pixels.subarray(at, at + 3)).join()));
  });

  it('takes nothing from the padding', () => {
    const rgb = new Uint8Array(48).fill(10);
    for (const placement of [landscape, portrait]) {
      rgb.fill(10);
      for (let cell = 0; cell < 16; cell++)
        if (cell >= 4 * placement.valid.rows || cell % 4 >= placement.valid.columns)
          rgb.fill(250, 3 * cell, 3 * cell + 3);
      const pixels = drawLayer({ kind: 'colours', rgb }, placement, true);
      assert.ok(pixels.every((value, index) => value === (index % 4 === 3 ? 255 : 10)));
    }
  });
});

describe('blending', () => {
  it('mixes by opacity where the layer has pixels and leaves the rest', () => {
    const image = Uint8ClampedArray.of(100, 100, 100, 255, 50, 60, 70, 255);
    const layer = Uint8ClampedArray.of(200, 0, 100, 255, 0, 0, 0, 0);
    assert.deepEqual(Array.from(blendLayer(image, layer, 0.25)), [125, 75, 100, 255, 50, 60, 70, 255]);
  });

  it('shows the image alone at 0 and the layer alone at 1', () => {
    const scene = overlayScenes['values-flat']!;
    const layer = drawLayer(scene.layer, scene.placement, false);
    const image = drawScene({ ...scene, opacity: 0 });
    assert.deepEqual(blendLayer(image.slice(), layer, 0), image);
    assert.deepEqual(blendLayer(image.slice(), layer, 1), layer);
    const corner = Array.from(colourTable('viridis').subarray(0, 3));
    assert.deepEqual(Array.from(layer.subarray(0, 3)), corner);
  });

  it('refuses what does not fit', () => {
    assert.throws(() => blendLayer(new Uint8ClampedArray(4), new Uint8ClampedArray(8), 1), /does not fit/);
    const layer = { kind: 'colours', rgb: new Uint8Array(9) } as const;
    assert.throws(() => drawLayer(layer, landscape, false), /colours to draw are not those of a 4 × 4 map/);
  });
});
