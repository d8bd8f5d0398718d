import type { DistillationBatch } from './regionLoss.ts';

/** Parts of a batch, `images` images each; the last may have fewer. They are views of the same numbers. */
export function passesOf(batch: DistillationBatch, images: number): DistillationBatch[] {
  const count = batch.boxCounts.length;
  if (images >= count) return [batch];
  const boxes = batch.boxCounts.reduce((sum, each) => sum + each, 0);
  const parts: DistillationBatch[] = [];
  let box = 0;
  for (let first = 0; first < count; first += images) {
    const end = Math.min(first + images, count);
    const boxCounts = batch.boxCounts.slice(first, end);
    const nextBox = box + boxCounts.reduce((sum, each) => sum + each, 0);
    const { size, labels, wholes } = batch;
    parts.push({
      images: share(batch.images, first, end, count),
      pooling: share(batch.pooling, first, end, count),
      ...cropsOf(batch, box, nextBox, boxes),
      boxCounts,
      ...(size === undefined ? {} : { size }),
      ...(labels ? { labels: labels.slice(box, nextBox) } : {}),
      ...(wholes ? { wholes: share(wholes, first, end, count) } : {}),
    });
    box = nextBox;
  }
  return parts;
}

/** The crops of boxes `first` to `end` of `count`. */
function cropsOf(
  { crops, kept }: DistillationBatch,
  first: number,
  end: number,
  count: number,
): Pick<DistillationBatch, 'crops' | 'kept'> {
  if (!kept) return { crops: share(crops, first, end, count) };
  const given = (boxes: readonly number[]): number => boxes.filter(place => place >= 0).length;
  const before = given(kept.cropOf.slice(0, first));
  const own = kept.cropOf.slice(first, end);
  return {
    crops: share(crops, before, before + given(own), given(kept.cropOf)),
    kept: {
      regions: kept.regions.slice(first, end),
      cropOf: own.map(place => (place < 0 ? -1 : place - before)),
    },
  };
}

/** Rows `first` to `end` of an array of `count` equal rows. */
const share = (values: Float32Array, first: number, end: number, count: number): Float32Array => {
  const length = values.length / Math.max(1, count);
  return values.subarray(first * length, end * length);
};
