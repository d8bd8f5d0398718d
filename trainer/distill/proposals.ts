/** Region proposals instead of grid patches (paper table 2): which of an image's boxes a step takes. */

import type { KeyedRandom } from '../random.ts';

/** [x, y, width, height] in pixels of the file, as COCO writes boxes. */
export type ProposalBox = readonly [number, number, number, number];

/** A region of the student's map and what the teacher sees of it, both x0, y0, x1, y1 in pixels of the file. */
export interface ProposedRegion {
  box: [number, number, number, number];
  crop: [number, number, number, number];
  /** Where the region is among the image's proposals; −1 when the image has none that can be used. */
  index: number;
}

/** Proposals of fewer or more pixels than these are left out. */
const [leastArea, mostArea] = [8 ** 2, 1024 ** 2];

/**
 * The published rules: the proposals are shuffled, the first `maxBoxes` taken and only then those left out that are
 * too small or too large. The crop is the box enlarged by `context` about its centre and clipped to the image. An image
 * without a proposal that fits gets its upper left quarter a side.
 */
export function drawProposals(
  random: KeyedRandom,
  proposals: readonly ProposalBox[],
  maxBoxes: number,
  context: number,
  width: number,
  height: number,
): ProposedRegion[] {
  const order = random.shuffle(proposals.map((_, index) => index)).slice(0, maxBoxes);
  const regions = chosenProposals(order, proposals, context, width, height);
  return regions.length > 0 ? regions : [fallbackRegion(width, height)];
}

/** The proposals of `order` that are neither too small nor too large. */
export function chosenProposals(
  order: readonly number[],
  proposals: readonly ProposalBox[],
  context: number,
  width: number,
  height: number,
): ProposedRegion[] {
  return order
    .filter(index => {
      const [, , w, h] = proposals[index]!;
      return w * h >= leastArea && w * h <= mostArea;
    })
    .map(index => {
      const proposal = proposals[index]!;
      return { box: cornersOf(proposal), crop: contextCrop(proposal, context, width, height), index };
    });
}

/** What an image without a usable proposal trains on. */
export const fallbackRegion = (width: number, height: number): ProposedRegion => ({
  box: [0, 0, width / 4, height / 4],
  crop: [0, 0, Math.floor(width / 4), Math.floor(height / 4)],
  index: -1,
});

/** [x, y, width, height] as x0, y0, x1, y1. */
export const cornersOf = ([x, y, w, h]: ProposalBox): [number, number, number, number] => [
  x,
  y,
  x + w,
  y + h,
];

/** The proposal enlarged by `context` about its centre and clipped to the image. */
function contextCrop(
  [x, y, w, h]: ProposalBox,
  context: number,
  width: number,
  height: number,
): [number, number, number, number] {
  const [centreX, centreY] = [x + w / 2, y + h / 2];
  const [halfWidth, halfHeight] = [(w * context) / 2, (h * context) / 2];
  return [
    Math.max(centreX - halfWidth, 0),
    Math.max(centreY - halfHeight, 0),
    Math.min(centreX + halfWidth, width),
    Math.min(centreY + halfHeight, height),
  ];
}
