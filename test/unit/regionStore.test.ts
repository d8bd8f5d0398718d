import assert from 'node:assert/strict';
import {
  firstRegion,
  type ListedRegion,
  packRegions,
  regionCount,
  regionsOf,
  regionTotal,
  selectImages,
} from '../../trainer/images/regionStore.ts';

/** Two regions of image 2, one of image 0, three of image 3, none of image 1; the width says which. */
const listed: ListedRegion[] = [2, 0, 3, 3, 2, 3].map((image, index) => ({
  image,
  label: 10 + index,
  box: [index, 1, 100 + index, 4],
}));
const widths = (store: ReturnType<typeof packRegions>, image: number): number[] =>
  regionsOf(store, image).boxes.map(([, , width]) => width);

describe('regions packed by image', () => {
  const store = packRegions(4, true, () => listed);

  it('keep the order of their file', () => {
    assert.deepEqual(
      [0, 1, 2, 3].map(image => widths(store, image)),
      [[101], [], [100, 104], [102, 103, 105]],
    );
    assert.deepEqual(regionsOf(store, 3).labels, [12, 13, 15]);
    assert.equal(regionCount(store, 2), 2);
    assert.equal(packRegions(4, false, () => listed).labels, null);
  });

  it('have places that follow the images', () => {
    assert.deepEqual(
      [0, 1, 2, 3].map(image => firstRegion(store, image)),
      [0, 1, 1, 3],
    );
    assert.equal(regionTotal(store), 6);
  });

  it('have places without gaps among chosen images', () => {
    const chosen = selectImages(store, [3, 1, 0]);
    assert.deepEqual(
      [0, 1, 2].map(image => widths(chosen, image)),
      [[102, 103, 105], [], [101]],
    );
    assert.deepEqual(
      [0, 1, 2].map(image => firstRegion(chosen, image)),
      [0, 3, 3],
    );
    assert.equal(regionTotal(chosen), 4);
    assert.equal(regionTotal(selectImages(store, [])), 0);
  });
});
