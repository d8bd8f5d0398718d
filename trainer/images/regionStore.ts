import type { ProposalBox } from '../distill/proposals.ts';

/**
 * Boxes of many images, packed into memory that threads share: a list of proposals may hold tens of millions. Images
 * follow the order of a run's files.
 */
export interface RegionStore {
  /** [boxes, 4] x, y, width, height in pixels of the files. */
  boxes: Float64Array;
  /** [boxes] position of each box's class; null where boxes have none. */
  labels: Int32Array | null;
  /** [images, 2] first box of an image, and the one after its last. */
  ranges: Uint32Array;
  /** [images + 1] how many regions the images before have; the last is the number of all. */
  places: Uint32Array;
}

/** Regions before they are packed. */
export interface ListedRegion {
  /** Position of the image. */
  image: number;
  box: ProposalBox;
  /** −1 where there is none. */
  label: number;
}

/**
 * Packs regions image by image; those of one image keep their order.
 *
 * @param imageCount Images there are, with and without regions.
 * @param regions Gives the same regions each time it is called.
 */
export function packRegions(
  imageCount: number,
  labelled: boolean,
  regions: () => Iterable<ListedRegion>,
): RegionStore {
  const ranges = new Uint32Array(new SharedArrayBuffer(imageCount * 8));
  for (const { image } of regions()) ranges[image * 2 + 1]!++;
  let count = 0;
  for (let image = 0; image < imageCount; image++) {
    const own = ranges[image * 2 + 1]!;
    ranges[image * 2] = count;
    ranges[image * 2 + 1] = count;
    count += own;
  }
  const boxes = new Float64Array(new SharedArrayBuffer(count * 32));
  const labels = labelled ? new Int32Array(new SharedArrayBuffer(count * 4)) : null;
  for (const { image, box, label } of regions()) {
    const place = ranges[image * 2 + 1]!++;
    boxes.set(box, place * 4);
    if (labels) labels[place] = label;
  }
  return { boxes, labels, ranges, places: placesOf(ranges) };
}

/** How many regions an image has. */
export const regionCount = ({ ranges }: RegionStore, image: number): number =>
  ranges[image * 2 + 1]! - ranges[image * 2]!;

/** Regions of all images. */
export const regionTotal = ({ places }: RegionStore): number => places.at(-1)!;

/** Place of an image's first region among those of all images. */
export const firstRegion = ({ places }: RegionStore, image: number): number => places[image]!;

function placesOf(ranges: Uint32Array): Uint32Array {
  const places = new Uint32Array(new SharedArrayBuffer((ranges.length / 2 + 1) * 4));
  for (let image = 0; image < ranges.length / 2; image++)
    places[image + 1] = places[image]! + ranges[image * 2 + 1]! - ranges[image * 2]!;
  return places;
}

/** An image's boxes and their labels, in the order of their file. */
export function regionsOf(
  { boxes, labels, ranges }: RegionStore,
  image: number,
): { boxes: ProposalBox[]; labels: number[] } {
  const [first, end] = [ranges[image * 2]!, ranges[image * 2 + 1]!];
  const own: ProposalBox[] = [];
  for (let box = first; box < end; box++)
    own.push([...boxes.subarray(box * 4, box * 4 + 4)] as unknown as ProposalBox);
  return { boxes: own, labels: labels ? [...labels.subarray(first, end)] : [] };
}

/** Some of the images, in another order; their boxes stay where they are. */
export function selectImages(store: RegionStore, images: readonly number[]): RegionStore {
  const ranges = new Uint32Array(new SharedArrayBuffer(images.length * 8));
  images.forEach((image, position) => {
    ranges.set(store.ranges.subarray(image * 2, image * 2 + 2), position * 2);
  });
  return { ...store, ranges, places: placesOf(ranges) };
}
