import assert from 'node:assert/strict';
import fc from 'fast-check';
import { fromFloat16, toFloat16 } from '../../trainer/float16.ts';

const bitsOf = (value: number): number => toFloat16(Float32Array.of(value))[0]!;
const valueOfBits = (bits: number): number => fromFloat16(Uint16Array.of(bits))[0]!;

describe('half precision', () => {
  it('knows the values of the standard', () => {
    const known: [number, number][] = [
      [0x0000, 0],
      [0x3c00, 1],
      [0xc000, -2],
      [0x7bff, 65504],
      [0x0400, 2 ** -14],
      [0x0001, 2 ** -24],
      [0x3555, 0.333251953125],
      [0x7c00, Number.POSITIVE_INFINITY],
    ];
    for (const [bits, value] of known) {
      assert.equal(valueOfBits(bits), value);
      assert.equal(bitsOf(value), bits);
    }
    assert.equal(bitsOf(-0), 0x8000);
    assert.ok(Number.isNaN(valueOfBits(bitsOf(Number.NaN))));
    assert.equal(bitsOf(65519), 0x7bff);
    assert.equal(bitsOf(65520), 0x7c00);
  });

  it('gives back every pattern that is a number', () => {
    const patterns = Uint16Array.from({ length: 65536 }, (_, bits) => bits).filter(
      bits => (bits & 0x7fff) <= 0x7c00,
    );
    assert.deepEqual(toFloat16(fromFloat16(patterns)), patterns);
  });

  it('rounds to the nearest, halves to the even one', () => {
    const largest = 65504;
    fc.assert(
      fc.property(fc.float({ min: -largest, max: largest, noNaN: true }), value => {
        const bits = bitsOf(value);
        const error = Math.abs(valueOfBits(bits) - value);
        for (const neighbour of [bits - 1, bits + 1]) {
          if (neighbour < 0 || (neighbour & 0x7fff) >= 0x7c00) continue;
          const other = Math.abs(valueOfBits(neighbour) - value);
          assert.ok(error < other || (error === other && bits % 2 === 0), `${value}`);
        }
      }),
      { numRuns: 2000 },
    );
    // Half-way between 1 and its neighbour, between that and the next, and between 0 and the smallest.
    assert.equal(bitsOf(1 + 2 ** -11), 0x3c00);
    assert.equal(bitsOf(1 + 3 * 2 ** -11), 0x3c02);
    assert.equal(bitsOf(2 ** -25), 0);
    assert.equal(bitsOf(1.5 * 2 ** -24), 2);
  });
});
