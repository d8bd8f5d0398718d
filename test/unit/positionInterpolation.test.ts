import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type InterpolationKernel, interpolationMatrix } from '../../trainer/models/positionInterpolation.ts';

const side = fc.integer({ min: 1, max: 9 });
const kernels: InterpolationKernel[] = ['bicubic', 'bicubic-antialias', 'bilinear'];

describe('interpolation matrix', () => {
  for (const kernel of kernels) {
    it(`${kernel}: is the identity between equal sizes`, () => {
      fc.assert(
        fc.property(side, side, (height, width) => {
          const matrix = interpolationMatrix({ height, width }, { height, width }, kernel);
          const count = height * width;
          assert.ok(matrix.every((weight, index) => weight === (index % (count + 1) === 0 ? 1 : 0)));
        }),
      );
    });

    it(`${kernel}: keeps an even grid even`, () => {
      fc.assert(
        fc.property(side, side, side, side, (height, width, toHeight, toWidth) => {
          const matrix = interpolationMatrix({ height, width }, { height: toHeight, width: toWidth }, kernel);
          for (let row = 0; row < toHeight * toWidth; row++) {
            const weights = matrix.subarray(row * height * width, (row + 1) * height * width);
            assert.ok(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 1) < 1e-5);
          }
        }),
      );
    });
  }

  it('refuses grids without cells', () => {
    assert.throws(
      () => interpolationMatrix({ height: 0, width: 2 }, { height: 2, width: 2 }),
      /cannot have 0/,
    );
  });
});
