import assert from 'node:assert/strict';
import { drawLayer } from '../../trainer/dense/overlay.ts';
import { meanOfMaps } from '../../trainer/dense/tokenMaps.ts';
import { toCsv } from '../../trainer/tables.ts';
import { gridSvg } from '../../webview/inspector/exportSvg.ts';
import {
  gridOf,
  isValidPatch,
  neighbourPatch,
  patchAt,
  patchBox,
  patchCentre,
  patchName,
  validStatistics,
} from '../../webview/inspector/featureMap.ts';
import { cellPlacement, layerPlacement } from '../../webview/inspector/layerPlacement.ts';
import { cosineDistances, outlierPatches } from '../../webview/inspector/mapStatistics.ts';
import { placeSideBySide } from '../../webview/inspector/sideBySide.ts';
import { cellTable } from '../../webview/inspector/views/cellTable.ts';

/** 640 × 400 image at 64 px with patches of 16: 4 × 4 cells of 160 pixels, of which 3 rows hold image. */
const grid = gridOf({
  rows: 4,
  columns: 4,
  valid: { rows: 3, columns: 4 },
  imageWidth: 640,
  imageHeight: 400,
  patchSize: 16,
  size: 64,
});

describe('inspector maps', () => {
  it('finds the patch of an image point, and none on padding', () => {
    assert.equal(grid.cell, 160);
    assert.equal(patchAt(grid, { x: 0, y: 0 }), 0);
    assert.equal(patchAt(grid, { x: 639, y: 399 }), 11);
    assert.equal(patchAt(grid, { x: 10, y: 490 }), -1);
    assert.equal(patchAt(grid, { x: -1, y: 10 }), -1);
    assert.equal(isValidPatch(grid, 11), true);
    assert.equal(isValidPatch(grid, 12), false);
  });

  it('leaves what the model does not see out of the patches', () => {
    // 60 px with patches of 15, of which the map has three a side: 160 image pixels each, and 160 that belong to none.
    const odd = { ...{ rows: 3, columns: 3, valid: { rows: 3, columns: 3 } }, patchSize: 15, size: 60 };
    const cut = gridOf({ ...odd, imageWidth: 640, imageHeight: 400 });
    assert.equal(cut.cell, 160);
    assert.equal(patchAt(cut, { x: 479, y: 10 }), 2);
    assert.equal(patchAt(cut, { x: 481, y: 10 }), -1);
    assert.equal(layerPlacement(cut, 640, 400).patchSize, 15);
  });

  it('cuts the last row at the edge of the image and puts the centre into the rest', () => {
    assert.deepEqual(patchBox(grid, 9), [160, 320, 320, 400]);
    assert.deepEqual(patchCentre(grid, 9), { x: 240, y: 360 });
    for (let patch = 0; patch < 12; patch++) assert.equal(patchAt(grid, patchCentre(grid, patch)), patch);
    assert.equal(patchName(grid, 9), 'row 3, column 2');
  });

  it('moves between patches without leaving the image', () => {
    assert.equal(neighbourPatch(grid, 5, 1, 0), 9);
    assert.equal(neighbourPatch(grid, 9, 1, 0), 9);
    assert.equal(neighbourPatch(grid, 0, -1, -1), 0);
    assert.equal(neighbourPatch(grid, 3, 0, 1), 3);
  });

  it('leaves padding and missing values out of the statistics', () => {
    const values = new Float32Array(16).fill(1000);
    values.set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, Number.NaN]);
    assert.deepEqual(validStatistics(grid, values), { lowest: 1, highest: 11, mean: 6, count: 11 });
    assert.equal(validStatistics(grid, new Float32Array(16).fill(Number.NaN)), null);
  });

  it('draws one pixel for each patch exactly as the picture of the whole image has them', () => {
    const labels = Int16Array.from({ length: 16 }, (_, patch) => (patch < 12 ? patch % 5 : -1));
    const layer = { kind: 'labels' as const, labels, colours: [0, 1, 2, 3, 4] };
    const cells = drawLayer(layer, cellPlacement(grid), false);
    const whole = drawLayer(layer, layerPlacement(grid, 640, 400), false);
    assert.equal(cells.length, 4 * 3 * 4);
    for (let patch = 0; patch < 12; patch++) {
      const { x, y } = patchCentre(grid, patch);
      const pixel = (Math.floor(y) * 640 + Math.floor(x)) * 4;
      assert.deepEqual([...cells.subarray(patch * 4, patch * 4 + 4)], [...whole.subarray(pixel, pixel + 4)]);
    }
  });

  it('measures cosine distance patch by patch', () => {
    const first = Float32Array.of(1, 0, 0, 1, 0.6, 0.8);
    const last = Float32Array.of(1, 0, 0, -1, 0.8, 0.6);
    const distances = cosineDistances(first, last, 2);
    [0, 2, 1 - 0.96].forEach((expected, patch) => {
      assert.ok(Math.abs(distances[patch]! - expected) < 1e-6);
    });
  });

  it('names tokens three deviations above the mean, strongest first, and no padding', () => {
    const valid = { rows: 5, columns: 6 };
    const values = new Float32Array(36).fill(10);
    values[7] = 60;
    values[20] = 70;
    // Padding, in the last row.
    values[33] = 900;
    assert.deepEqual(outlierPatches(valid, 6, values), [20, 7]);
    assert.deepEqual(outlierPatches(valid, 6, new Float32Array(36).fill(1)), []);
  });

  it('averages the heads without the rollout behind them', () => {
    const maps = Float32Array.of(0, 2, 4, 4, 100, 100);
    assert.deepEqual([...meanOfMaps(maps, 2, 2)], [2, 3]);
  });
});

describe('a picture of a whole comparison', () => {
  it('has the columns side by side at their own size', () => {
    const { width, height, areas } = placeSideBySide([
      { width: 400, height: 300 },
      { width: 400, height: 320 },
    ]);
    assert.deepEqual([width, height], [804, 320]);
    assert.deepEqual(
      areas.map(({ left, top }) => [left, top]),
      [
        [0, 0],
        [404, 0],
      ],
    );
    assert.deepEqual([areas[1]!.width, areas[1]!.height], [400, 320]);
  });

  it('is made smaller where it would not fit a canvas', () => {
    const pictures = Array.from({ length: 4 }, () => ({ width: 12_000, height: 9000 }));
    const { width, height, areas } = placeSideBySide(pictures);
    assert.ok(width <= 16_384 && width > 16_000);
    assert.ok(Math.abs(areas[0]!.width / areas[0]!.height - 4 / 3) < 0.01);
    assert.equal(height, areas[0]!.height);
    assert.ok(areas[3]!.left + areas[3]!.width <= width);
  });
});

describe('inspector exports', () => {
  it('lists patches that hold image with their pixels', () => {
    const table = cellTable(grid, ['cosine'], patch => [String(patch / 10)]);
    assert.equal(table.length, 13);
    assert.deepEqual(table[0], ['patch', 'row', 'column', 'x0', 'y0', 'x1', 'y1', 'cosine']);
    assert.deepEqual(table[10], ['9', '2', '1', '160', '320', '320', '400', '0.9']);
  });

  it('quotes what commas, quotes and lines need', () => {
    assert.equal(
      toCsv([
        ['a', 'b,c'],
        ['say "x"', 'two\nlines'],
      ]),
      'a,"b,c"\r\n"say ""x""","two\nlines"\r\n',
    );
  });

  it('writes a square for each patch in its colour, with text made safe', () => {
    const labels = Int16Array.from({ length: 16 }, (_, patch) => (patch === 0 ? 0 : -1));
    const svg = gridSvg(grid, { kind: 'labels', labels, colours: [0] }, 0.6, patch => `<${patch}>`);
    assert.equal(svg.match(/<rect /g)?.length, 12);
    assert.match(svg, /viewBox="0 0 640 400"/);
    assert.match(
      svg,
      /<rect x="0" y="0" width="160" height="160" fill="#0072b2" fill-opacity="0.6"><title>row 1, column 1: &lt;0&gt;<\/title>/,
    );
    assert.match(svg, /<rect x="480" y="320" width="160" height="80" fill="none"/);
    assert.doesNotMatch(svg, /<\d+>/);
  });
});
