import assert from 'node:assert/strict';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { roundedCrops } from '../../trainer/distill/teacherTargets.ts';
import type { VisionArchitecture } from '../../trainer/models/architecture.ts';

const tiny: VisionArchitecture = {
  kind: 'openclip',
  name: null,
  ...{ imageSize: 48, patchSize: 8, width: 128, layers: 6, heads: 4, mlpWidth: 512, embeddingDimension: 128 },
  activation: 'gelu',
  text: { kind: 'none' },
};

describe('the number of crops that a teacher embeds', () => {
  it('is that of the boxes where a crop costs more than compiling', () => {
    const model = knownArchitectures.get('ViT-B-16')!;
    for (const count of [0, 1, 9, 37]) assert.equal(roundedCrops(count, model, 224), count);
  });

  it('is rounded up for a small tower, so that few numbers occur', () => {
    const rounded = Array.from({ length: 81 }, (_, count) => roundedCrops(count, tiny, 48));
    assert.ok(rounded.every((value, count) => value >= count && value < count + 32));
    assert.deepEqual([...new Set(rounded)], [0, 32, 64, 96]);
  });
});
