import assert from 'node:assert/strict';
import {
  decodeMask,
  expandCounts,
  type Mask,
  maskBounds,
  maskOfPolygons,
  maskOfRunLengths,
  maskOutline,
  parseSegmentation,
} from '../../trainer/dense/cocoMask.ts';
import { maskCellWeights, poolMasksInto } from '../../trainer/dense/maskPooling.ts';

/** One line per row of pixels, # inside. */
const picture = ({ width, height, pixels }: Mask): string[] =>
  Array.from({ length: height }, (_, y) =>
    Array.from(pixels.subarray(y * width, (y + 1) * width), pixel => (pixel === 1 ? '#' : '.')).join(''),
  );

/** Numbers from 0 to 1 that are the same in every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Angle that the polygon turns around a point, in whole turns; odd means inside by the even-odd rule. */
function turnsAround(polygon: readonly number[], x: number, y: number): number {
  let angle = 0;
  for (let corner = 0; corner < polygon.length; corner += 2) {
    const next = (corner + 2) % polygon.length;
    const [ax, ay] = [polygon[corner]! - x, polygon[corner + 1]! - y];
    const [bx, by] = [polygon[next]! - x, polygon[next + 1]! - y];
    angle += Math.atan2(ax * by - ay * bx, ax * bx + ay * by);
  }
  return Math.round(angle / (2 * Math.PI));
}

describe('masks of COCO annotations', () => {
  it('hold the pixels whose middle is inside a polygon', () => {
    assert.deepEqual(picture(maskOfPolygons([[1, 1, 4, 1, 4, 3, 1, 3]], 5, 4)), [
      '.....',
      '.###.',
      '.###.',
      '.....',
    ]);
    // A triangle: middles (½, ½), (3½, ½) … on or within x + y ≤ 4.
    assert.deepEqual(picture(maskOfPolygons([[0, 0, 4, 0, 0, 4]], 4, 4)), ['###.', '##..', '#...', '....']);
    // Beyond every edge of the image.
    assert.deepEqual(picture(maskOfPolygons([[-9, -9, 9, -9, 9, 9, -9, 9]], 2, 2)), ['##', '##']);
    assert.deepEqual(picture(maskOfPolygons([[0.6, 0.6, 1.4, 0.6, 1.4, 1.4]], 2, 2)), ['..', '..']);
  });

  it('join the parts of an object, and leave out what a polygon encloses twice', () => {
    const parts = [
      [0, 0, 2, 0, 2, 2, 0, 2],
      [1, 1, 3, 1, 3, 3, 1, 3],
    ];
    assert.deepEqual(picture(maskOfPolygons(parts, 3, 3)), ['##.', '###', '.##']);
    const twice = [0, 0, 5, 0, 5, 5, 0, 5, 0, 0, 1, 1, 4, 1, 4, 4, 1, 4, 1, 1];
    assert.deepEqual(picture(maskOfPolygons([twice], 5, 5)), ['#####', '#...#', '#...#', '#...#', '#####']);
  });

  it('agree with the turns around each pixel for polygons that cross themselves', () => {
    const random = numbers(7);
    let inside = 0;
    for (let round = 0; round < 60; round++) {
      const polygon = Array.from({ length: 6 + 2 * (round % 6) }, () => random() * 30 - 4);
      const { pixels } = maskOfPolygons([polygon], 23, 17);
      pixels.forEach((pixel, index) => {
        const [x, y] = [(index % 23) + 0.5, Math.floor(index / 23) + 0.5];
        assert.equal(pixel, Math.abs(turnsAround(polygon, x, y)) % 2, `polygon ${round}, pixel ${x}, ${y}`);
        inside += pixel;
      });
    }
    assert.ok(inside > 1000);
  });

  it('run down the columns, background first', () => {
    const mask = maskOfRunLengths({ size: [3, 4], counts: [1, 3, 2, 1, 4, 1] });
    // Places 1 – 3, 6 and 11: (1, 0), (2, 0), (0, 1), (0, 2) and (2, 3) as row, column.
    assert.deepEqual(picture(mask), ['.##.', '#...', '#..#']);
  });

  it('come as compressed text too', () => {
    // 4th number: 1 − 3 = −2, five bits 30, code 78. 100 = 4 + 3 · 32; 16 needs a second group for its sign.
    assert.deepEqual(expandCounts('231N'), [2, 3, 1, 1]);
    assert.deepEqual(expandCounts('T3`00'), [100, 16, 0]);
    const text = maskOfRunLengths({ size: [7, 1], counts: '231N' });
    assert.deepEqual([...text.pixels], [0, 0, 1, 1, 1, 0, 1]);
  });

  it('are refused with the reason when they are damaged', () => {
    const run = (counts: string | number[]) => maskOfRunLengths({ size: [2, 2], counts });
    assert.throws(() => run([1, 2]), /do not add up to its 2 × 2 pixels/);
    assert.throws(() => run([1, 9]), /do not add up/);
    assert.throws(() => run('231'), /do not add up/);
    assert.throws(() => run('T'), /“counts” of the segmentation are damaged/);
    assert.throws(() => run('2 1'), /damaged/);
    assert.throws(() => run('ooooooooooooo'), /damaged/);
    const parse = (value: unknown) => () => parseSegmentation(value);
    assert.throws(parse([]), /no polygon/);
    assert.throws(parse([[1, 2, 3, 4]]), /at least three pairs/);
    assert.throws(parse([[1, 2, 3, 4, 5, '6']]), /must be numbers/);
    assert.throws(parse([Array.from({ length: 20_002 }, () => 1)]), /20002 coordinates is too large/);
    assert.throws(parse('x'), /neither polygons nor run lengths/);
    assert.throws(parse({ size: [0, 2], counts: [] }), /height and width/);
    assert.throws(parse({ size: [99_999, 99_999], counts: [] }), /too large/);
    assert.throws(parse({ size: [2, 2], counts: [-1] }), /text or a list of whole numbers/);
    assert.throws(
      () => decodeMask({ size: [2, 3], counts: [6] }, 2, 3),
      /3 × 2 pixels and the image 2 × 3: it belongs to another image/,
    );
  });

  it('know their bounds and their outline', () => {
    const mask = maskOfPolygons([[1, 0, 3, 0, 3, 2, 1, 2]], 4, 3);
    assert.deepEqual(maskBounds(mask), [1, 0, 3, 2]);
    assert.deepEqual(maskOutline(mask), [1, 0, 3, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 0, 3, 2]);
    assert.equal(maskBounds({ width: 1, height: 1, pixels: new Uint8Array(1) }), null);
  });
});

describe('pooling over masks', () => {
  it('weighs cells by the area that is covered', () => {
    // Cells of two pixels; the mask covers 4, 2 and 1 pixels of three of the cells.
    const mask = maskOfPolygons(
      [
        [0, 0, 3, 0, 3, 2, 0, 2],
        [0, 2, 1, 2, 1, 3, 0, 3],
      ],
      4,
      4,
    );
    const weights = maskCellWeights(mask, 0.5, 3);
    const expected = [4, 2, 0, 1, 0, 0, 0, 0, 0].map(area => Math.fround(area / 7));
    assert.deepEqual([...weights], expected);
  });

  it('parts a pixel among the cells it touches, and does not reach into the padding', () => {
    const whole = maskOfPolygons([[0, 0, 3, 0, 3, 2, 0, 2]], 3, 2);
    // ⅔ cells per pixel: the image has 2 × 1⅓ cells.
    const weights = maskCellWeights(whole, 2 / 3, 2);
    [3, 3, 1, 1].forEach((share, cell) => {
      assert.ok(Math.abs(weights[cell]! - share / 8) < 1e-6);
    });
    const large = maskCellWeights({ width: 1, height: 1, pixels: Uint8Array.of(1) }, 2, 3);
    assert.deepEqual([...large], [0.25, 0.25, 0, 0.25, 0.25, 0, 0, 0, 0]);
  });

  it('replaces the rows of masks alone, by unit vectors', () => {
    const features = Float32Array.of(1, 0, 0, 1, 0, 0, 0, 0);
    const pooled = Float32Array.of(5, 6, 7, 8, 9, 10);
    const top = maskOfPolygons([[0, 0, 2, 0, 2, 1, 0, 1]], 2, 2);
    const empty: Mask = { width: 2, height: 2, pixels: new Uint8Array(4) };
    poolMasksInto(pooled, { features, side: 2 }, 1, [null, top, empty]);
    const half = Math.fround(Math.SQRT1_2);
    assert.deepEqual([...pooled.subarray(0, 2)], [5, 6]);
    pooled.subarray(2, 4).forEach(value => {
      assert.ok(Math.abs(value - half) < 1e-6);
    });
    assert.deepEqual([...pooled.subarray(4)], [9, 10]);
  });
});
