import { epochOrder } from '../distill/sampler.ts';
import type { ImageList } from './imageReader.ts';
import { shardOrder } from './shardOrder.ts';

interface EpochOfImages extends ImageList {
  seed: number;
  epoch: number;
}

/** The latest order, for the steps of an epoch follow each other. */
let latest: { request: EpochOfImages; order: Uint32Array } | null = null;

/** Positions in the list of images, in the order in which an epoch takes them; images of shards as these are read. */
export function imageOrder(request: EpochOfImages): Uint32Array {
  const { seed, epoch, files, members } = request;
  if (latest) {
    const { request: known, order } = latest;
    // Not the list itself: a loader's settings are spread anew for each batch.
    const isSame = known.files.length === files.length && known.members === (members ?? null);
    if (isSame && known.seed === seed && known.epoch === epoch) return order;
  }
  const order = members ? shardOrder(seed, epoch, members).train : epochOrder(seed, epoch, files.length);
  latest = { request: { seed, epoch, files, members: members ?? null }, order };
  return order;
}
