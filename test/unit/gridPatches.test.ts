import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  drawGridPatches,
  enlargeBox,
  fractionsToPixels,
  gridCells,
  gridChoices,
} from '../../trainer/distill/gridPatches.ts';
import { keyedRandom } from '../../trainer/random.ts';

const split = fc.integer({ min: 1, max: 12 });

describe('grid patches', () => {
  it('never are more than about twice as long in grid cells as wide', () => {
    fc.assert(
      fc.property(split, maxSplit => {
        const choices = gridChoices(maxSplit);
        assert.ok(choices.every(({ rows, columns }) => columns <= 2 * rows && rows <= 2 * columns));
        assert.ok(choices.every(({ rows, columns }) => rows <= maxSplit && columns <= maxSplit));
        assert.equal(new Set(choices.map(choice => JSON.stringify(choice))).size, choices.length);
      }),
    );
    assert.equal(gridChoices(6).length, 24);
    assert.deepEqual(gridChoices(1), [{ rows: 1, columns: 1 }]);
    assert.throws(() => gridChoices(0), /from 1, not 0/);
  });

  it('tile the image without gap or overlap', () => {
    fc.assert(
      fc.property(split, split, (rows, columns) => {
        const cells = gridCells({ rows, columns });
        const at = (row: number, column: number) =>
          cells.subarray((row * columns + column) * 4).subarray(0, 4);
        for (let row = 0; row < rows; row++) {
          for (let column = 0; column < columns; column++) {
            const [x0, y0, x1, y1] = at(row, column);
            assert.equal(x0, column === 0 ? 0 : at(row, column - 1)[2]);
            assert.equal(y0, row === 0 ? 0 : at(row - 1, column)[3]);
            assert.ok(x1! > x0! && y1! > y0!);
            if (column === columns - 1) assert.equal(x1, 1);
            if (row === rows - 1) assert.equal(y1, 1);
          }
        }
      }),
    );
  });

  it('are distinct cells of the drawn grid, at most maxBoxes', () => {
    fc.assert(
      fc.property(fc.integer(), split, fc.integer({ min: 1, max: 30 }), (seed, maxSplit, maxBoxes) => {
        const { rows, columns, fractions } = drawGridPatches(keyedRandom(seed), maxSplit, maxBoxes);
        const all = gridCells({ rows, columns });
        const boxesOf = (values: Float32Array) =>
          Array.from({ length: values.length / 4 }, (_, box) => values.subarray(box * 4, box * 4 + 4).join());
        const drawn = boxesOf(fractions);
        assert.equal(drawn.length, Math.min(rows * columns, maxBoxes));
        assert.equal(new Set(drawn).size, drawn.length);
        const known = new Set(boxesOf(all));
        assert.ok(drawn.every(box => known.has(box)));
      }),
    );
  });

  it('come from every grid and start at every cell', () => {
    const grids = new Set<string>();
    const firstCells = new Set<string>();
    for (let draw = 0; draw < 2000; draw++) {
      const { rows, columns, fractions } = drawGridPatches(keyedRandom(1, draw), 6, 20);
      grids.add(`${rows}x${columns}`);
      if (rows === 6 && columns === 6) firstCells.add(fractions.subarray(0, 4).join());
    }
    assert.equal(grids.size, 24);
    // 36 cells, about 83 draws of the 6 × 6 grid.
    assert.ok(firstCells.size > 25, `${firstCells.size} different first cells`);
  });

  it('scale to pixels and enlarge about their centre within the image', () => {
    assert.deepEqual([...fractionsToPixels(Float32Array.of(0, 0.5, 0.25, 1), 100, 40)], [0, 20, 25, 40]);
    assert.deepEqual(enlargeBox([10, 10, 20, 20], 1.5, 100, 100), [7.5, 7.5, 22.5, 22.5]);
    assert.deepEqual(enlargeBox([0, 90, 20, 100], 2, 100, 100), [0, 85, 30, 100]);
    assert.deepEqual(enlargeBox([0, 90, 20, 100], 1, 100, 100), [0, 90, 20, 100]);
  });
});
