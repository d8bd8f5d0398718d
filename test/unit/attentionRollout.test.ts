import assert from 'node:assert/strict';
import { attentionRollout, meanOverHeads } from '../../trainer/dense/attentionRollout.ts';
import { normalValues } from '../support/numericSamples.ts';

const tokens = 7;

/** Random weights whose rows sum to 1. */
function attention(layer: number, heads = 1): Float32Array {
  const weights = normalValues(heads * tokens * tokens, 'attention', layer).map(value => Math.exp(2 * value));
  for (let start = 0; start < weights.length; start += tokens) {
    const sum = weights.subarray(start, start + tokens).reduce((total, value) => total + value, 0);
    for (let index = start; index < start + tokens; index++) weights[index]! /= sum;
  }
  return weights;
}

/** The paper's recursion on whole matrices: rollout(l) = (0.5 A + 0.5 I) · rollout(l − 1). */
function wholeRollout(layers: Float32Array[]): number[][] {
  const identity = Array.from({ length: tokens }, (_, i) =>
    Array.from({ length: tokens }, (_, j) => +(i === j)),
  );
  return layers.reduce((product, layer) => {
    const mixed = identity.map((row, i) => row.map((entry, j) => 0.5 * entry + 0.5 * layer[i * tokens + j]!));
    return mixed.map(row =>
      row.map((_, j) => row.reduce((sum, entry, i) => sum + entry * product[i]![j]!, 0)),
    );
  }, identity);
}

describe('attention rollout', () => {
  const layers = [0, 1, 2, 3].map(layer => attention(layer));

  it('is the row of the whole rollout, for each token', () => {
    const whole = wholeRollout(layers);
    for (let query = 0; query < tokens; query++) {
      const row = attentionRollout(layers, tokens, query);
      row.forEach((value, index) => {
        assert.ok(Math.abs(value - whole[query]![index]!) < 1e-6);
      });
      assert.ok(Math.abs(row.reduce((sum, value) => sum + value, 0) - 1) < 1e-6);
    }
  });

  it('stays with the token when there are no layers', () => {
    assert.deepEqual(Array.from(attentionRollout([], 3, 1)), [0, 1, 0]);
  });

  it('averages heads', () => {
    const heads = attention(9, 3);
    meanOverHeads(heads, 3).forEach((value, index) => {
      const expected = (heads[index]! + heads[49 + index]! + heads[98 + index]!) / 3;
      assert.ok(Math.abs(value - expected) < 1e-7);
    });
  });

  it('refuses what does not fit', () => {
    assert.throws(() => attentionRollout(layers, tokens, 7), /token 7 is none of 7/);
    assert.throws(() => attentionRollout([new Float32Array(4)], tokens, 0), /layer 0 has 4 weights/);
    assert.throws(() => meanOverHeads(new Float32Array(5), 2), /5 weights/);
  });
});
