import assert from 'node:assert/strict';
import { clipSelfLoss } from '../../trainer/distill/clipself.ts';
import { binaryCrossEntropy, drawClasses, regionClipLoss } from '../../trainer/distill/regionClip.ts';
import { retentionLoss } from '../../trainer/distill/retention.ts';
import { inputsOf, substitute } from '../../trainer/graph/split.ts';
import type { Value } from '../../trainer/graph/value.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { at, type DoubleTensor, tabulate } from '../support/doubleTensor.ts';
import { blank, type CaseInput, describeOperations, floats } from '../support/operationTests.ts';

const [batch, tokens, maxBoxes, embeddingDimension, classes] = [2, 3, 2, 4, 5] as const;
const sizes = { batch, tokens, maxBoxes, embeddingDimension };

/** A loss with the values of a case in the place of its own inputs, by name. */
const fed = (loss: Value, values: Readonly<Record<string, Value>>): Value =>
  substitute({ loss }, new Map(inputsOf([loss]).map(input => [input, values[input.name!]!]))).loss!;

const scalar = (value: number): DoubleTensor => ({ shape: [], data: Float64Array.of(value) });
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
const cosine = (a: readonly number[], b: readonly number[]): number =>
  total(a.map((value, index) => value * b[index]!)) / (Math.hypot(...a) * Math.hypot(...b));

/** Pooled dense features of a box. */
const pooled = (dense: DoubleTensor, pooling: DoubleTensor, image: number, box: number): number[] =>
  range(embeddingDimension).map(channel =>
    total(
      range(tokens).map(
        token => at(pooling, [image, box, token]) * at(dense, [image * tokens + token, channel]),
      ),
    ),
  );

const row = (x: DoubleTensor, index: readonly number[]): number[] =>
  range(embeddingDimension).map(channel => at(x, [...index, channel]));

const overBoxes = (value: (image: number, box: number) => number): number =>
  total(range(batch).flatMap(image => range(maxBoxes).map(box => value(image, box))));

const crossEntropy = (logit: number, target: number): number =>
  -target * Math.log(1 / (1 + Math.exp(-logit))) - (1 - target) * Math.log(1 / (1 + Math.exp(logit)));

const dense = floats([batch * tokens, embeddingDimension]);
const pooling = floats([batch, maxBoxes, tokens], 0.1, 1);
const weights = floats([batch, maxBoxes], 0, 0.5);
const targets: CaseInput = {
  dtype: 'float32',
  tensor: tabulate([batch, maxBoxes, classes], ([image, box, label]) =>
    Number(label === image! * maxBoxes + box!),
  ),
};

describeOperations(
  'losses',
  { clipSelfLoss, regionClipLoss, binaryCrossEntropy, retentionLoss },
  {
    clipSelfLoss: {
      cases: [
        {
          inputs: [dense, pooling, floats([batch, maxBoxes, embeddingDimension]), weights],
          graph: (...[denseValue, poolingValue, teacher, weightValues]) =>
            fed(clipSelfLoss(sizes).loss, {
              dense: denseValue!,
              pooling: poolingValue!,
              teacher: teacher!,
              weights: weightValues!,
            }),
          reference: (...[features, rows, teacher, shares]) =>
            scalar(
              overBoxes(
                (image, box) =>
                  at(shares!, [image, box]) *
                  (1 - cosine(pooled(features!, rows!, image, box), row(teacher!, [image, box]))),
              ),
            ),
        },
      ],
      refusals: [
        {
          build: () => fed(clipSelfLoss(sizes).loss, { dense: blank([1, embeddingDimension]) }),
          naming: ['reshape'],
        },
      ],
    },
    regionClipLoss: {
      cases: [
        {
          inputs: [
            dense,
            pooling,
            floats([classes, embeddingDimension]),
            targets,
            floats([], 5, 10),
            weights,
          ],
          graph: (...[denseValue, poolingValue, nouns, targetValues, temperature, weightValues]) =>
            fed(regionClipLoss({ ...sizes, classes }).loss, {
              dense: denseValue!,
              pooling: poolingValue!,
              nouns: nouns!,
              targets: targetValues!,
              temperature: temperature!,
              weights: weightValues!,
            }),
          reference: (...[features, rows, nouns, hot, temperature, shares]) =>
            scalar(
              overBoxes((image, box) => {
                const region = pooled(features!, rows!, image, box);
                const norm = Math.hypot(...region);
                const byClass = range(classes).map(label => {
                  const noun = row(nouns!, [label]);
                  const product = total(region.map((value, index) => value * noun[index]!)) / norm;
                  return crossEntropy(at(temperature!, []) * product, at(hot!, [image, box, label]));
                });
                return at(shares!, [image, box]) * total(byClass);
              }),
            ),
        },
      ],
      refusals: [
        {
          build: () =>
            fed(regionClipLoss({ ...sizes, classes }).loss, { dense: blank([1, embeddingDimension]) }),
          naming: ['reshape'],
        },
      ],
    },
    binaryCrossEntropy: {
      cases: [
        {
          inputs: [floats([4, 5], -12, 12), floats([4, 5], 0, 1)],
          graph: (logits, target) => binaryCrossEntropy(logits!, target!),
          reference: (logits, target) =>
            tabulate(logits!.shape, index => crossEntropy(at(logits!, index), at(target!, index))),
        },
      ],
      refusals: [
        { build: () => binaryCrossEntropy(blank([2, 3]), blank([4, 3])), naming: ['[2, 3]', '[4, 3]'] },
      ],
    },
    retentionLoss: {
      cases: [
        {
          inputs: [floats([3, 4]), floats([3, 4]), floats([3, 1], 0, 1)],
          graph: (student, teacher, shares) =>
            fed(retentionLoss(3, 4), { student: student!, teacher: teacher!, weights: shares! }),
          reference: (student, teacher, shares) =>
            scalar(
              total(
                range(3).map(
                  image =>
                    at(shares!, [image, 0]) * (1 - cosine(row(student!, [image]), row(teacher!, [image]))),
                ),
              ),
            ),
        },
      ],
      refusals: [
        {
          build: () =>
            fed(retentionLoss(3, 4), {
              student: blank([3, 4]),
              teacher: blank([3, 5]),
              weights: blank([3, 1]),
            }),
          naming: ['[3, 4]', '[3, 5]'],
        },
      ],
    },
  },
);

describe('classes of a step', () => {
  it('are those of its boxes, ascending, then others once each', () => {
    const drawn = drawClasses([7, 3, 7, 120], 130, keyedRandom(1, 'classes'));
    assert.deepEqual(drawn.slice(0, 3), [3, 7, 120]);
    assert.equal(drawn.length, 100);
    assert.equal(new Set(drawn).size, 100);
    assert.ok(drawn.every(label => label >= 0 && label < 130));
    assert.deepEqual(drawClasses([7, 3, 7, 120], 130, keyedRandom(1, 'classes')), drawn);
    assert.notDeepEqual(drawClasses([7, 3, 7, 120], 130, keyedRandom(2, 'classes')), drawn);
  });

  it('are all that appear when those are more, and all there are when there are fewer', () => {
    const many = range(130).reverse();
    assert.deepEqual(drawClasses(many, 200, keyedRandom(1, 'classes')), range(130));
    assert.deepEqual(
      drawClasses([2], 5, keyedRandom(1, 'classes')).sort((a, b) => a - b),
      range(5),
    );
  });
});
