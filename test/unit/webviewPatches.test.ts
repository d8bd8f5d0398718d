import assert from 'node:assert/strict';
import type { PatchPreview } from '../../trainer/protocol.ts';
import { cosineColour, cosineGradient, cssColour } from '../../webview/cosineColour.ts';
import {
  boxAt,
  cellOf,
  cosineStatistics,
  neighbour,
  numberPlace,
  readingOrder,
} from '../../webview/training/patchGrid.ts';

/** 2 rows × 3 columns of a 300 × 100 image in shuffled order; the cell at row 1, column 2 is not used. */
const preview: PatchPreview = {
  step: 1,
  time: 0,
  image: '/a.jpg',
  width: 300,
  height: 100,
  rows: 2,
  columns: 3,
  boxes: [
    [200, 50, 300, 100],
    [0, 0, 100, 50],
    [200, 0, 300, 50],
    [0, 50, 100, 100],
    [100, 50, 200, 100],
  ],
  cosines: [0.5, 0.25, 0.75, 1, Number.NaN],
};

describe('patches of a preview', () => {
  it('know their row and column', () => {
    assert.deepEqual(cellOf(preview, 0), { row: 2, column: 3 });
    assert.deepEqual(cellOf(preview, 1), { row: 1, column: 1 });
  });

  it('have their number in the middle; regions in a corner, where nested ones do not share it', () => {
    const scale = { x: 2, y: 2 };
    assert.deepEqual(numberPlace(preview, 0, scale, 10), { x: 500, y: 150 });
    const regions: PatchPreview = { ...preview, rows: 0, columns: 0 };
    regions.boxes = [
      [0, 0, 300, 100],
      [50, 25, 250, 75],
    ];
    assert.deepEqual(numberPlace(regions, 0, scale, 10), { x: 18, y: 10 });
    assert.deepEqual(numberPlace(regions, 1, scale, 10), { x: 118, y: 60 });
  });

  it('are read row by row', () => {
    assert.deepEqual(readingOrder(preview), [1, 2, 3, 4, 0]);
  });

  it('lead to their neighbours, across cells that are not used, and stop at the edge', () => {
    const { boxes } = preview;
    assert.equal(neighbour(boxes, 1, 'right'), 2);
    assert.equal(neighbour(boxes, 1, 'down'), 3);
    assert.equal(neighbour(boxes, 3, 'right'), 4);
    assert.equal(neighbour(boxes, 0, 'up'), 2);
    assert.equal(neighbour(boxes, 1, 'left'), 1);
    assert.equal(neighbour(boxes, 1, 'up'), 1);
  });

  it('reach every patch of every grid by arrow keys', () => {
    for (let rows = 1; rows <= 6; rows++) {
      for (let columns = 1; columns <= 6; columns++) {
        const boxes = Array.from({ length: rows * columns }, (_, index): PatchPreview['boxes'][number] => {
          const [x, y] = [(index % columns) * 40, Math.floor(index / columns) * 30];
          return [x, y, x + 40, y + 30];
        });
        const reached = new Set([0]);
        for (const index of reached) {
          for (const direction of ['left', 'right', 'up', 'down'] as const)
            reached.add(neighbour(boxes, index, direction));
        }
        assert.equal(reached.size, boxes.length, `${rows} × ${columns}`);
      }
    }
  });

  it('are found by a point', () => {
    assert.equal(boxAt(preview.boxes, 10, 60), 3);
    assert.equal(boxAt(preview.boxes, 150, 10), -1);
  });

  it('sum up to lowest, mean and highest cosine', () => {
    assert.deepEqual(cosineStatistics(preview.cosines), { lowest: 0.25, mean: 0.625, highest: 1 });
    assert.equal(cosineStatistics([]), null);
  });
});

describe('colours of cosines', () => {
  const lightness = ([red, green, blue]: readonly number[]): number =>
    0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;

  it('grow lighter with the cosine and stay at the ends outside 0 … 1', () => {
    for (let step = 1; step <= 100; step++) {
      assert.ok(
        lightness(cosineColour(step / 100)) >= lightness(cosineColour((step - 1) / 100)) - 0.5,
        `${step}`,
      );
    }
    assert.deepEqual(cosineColour(-0.3), cosineColour(0));
    assert.deepEqual(cosineColour(1.01), cosineColour(1));
  });

  it('are grey where there is no cosine', () => {
    assert.deepEqual(cosineColour(Number.NaN), [128, 128, 128]);
  });

  it('are valid CSS', () => {
    assert.equal(cssColour([1, 2, 3]), 'rgb(1 2 3)');
    assert.equal(cssColour([1, 2, 3], 0.4), 'rgb(1 2 3 / 0.4)');
    assert.match(cosineGradient(), /^linear-gradient\(to right, rgb\(68 1 84\), .*rgb\(253 231 37\)\)$/);
  });
});
