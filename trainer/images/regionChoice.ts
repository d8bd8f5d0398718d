/** The regions of one image in one step: cells of a grid, proposals, or regions with labels. */

import { drawGridPatches, enlargeBox, fractionsToPixels } from '../distill/gridPatches.ts';
import { cornersOf, drawProposals } from '../distill/proposals.ts';
import type { KeyedRandom } from '../random.ts';
import { firstRegion, type RegionStore, regionsOf } from './regionStore.ts';

type Corners = [number, number, number, number];

export interface RegionRules {
  /** Grid patches: rows and columns are drawn from 1 … maxSplit. */
  maxSplit: number;
  maxBoxes: number;
  /** Teacher crops are the boxes enlarged by this factor about their centre. */
  cropScale: number;
  /** Boxes of each file; null for a grid. */
  regions?: RegionStore | null;
}

export interface ChosenRegions {
  /** Of the grid; 0 where there is none. */
  rows: number;
  columns: number;
  /** x0, y0, x1, y1 in pixels of the file. */
  boxes: Corners[];
  /** What the teacher sees of each; null where regions have labels instead. */
  crops: Corners[] | null;
  /** Position of each box's class; empty where they have none. */
  labels: number[];
  /** Place of each box in the store, so that it is known again; −1 where it is not from there, empty with labels. */
  places: number[];
}

/**
 * Chooses the regions of an image of `width` × `height` pixels. Labelled ones are the first of the file, neither
 * shuffled nor filtered, as in the published code.
 *
 * @param file Position of the image among the run's files.
 */
export function chooseRegions(
  rules: RegionRules,
  random: KeyedRandom,
  file: number,
  width: number,
  height: number,
): ChosenRegions {
  const { maxBoxes, cropScale, regions } = rules;
  if (!regions) return chooseCells(rules, random, width, height);
  const { boxes, labels } = regionsOf(regions, file);
  if (regions.labels)
    return {
      rows: 0,
      columns: 0,
      boxes: boxes.slice(0, maxBoxes).map(cornersOf),
      crops: null,
      labels: labels.slice(0, maxBoxes),
      places: [],
    };
  const drawn = drawProposals(random, boxes, maxBoxes, cropScale, width, height);
  return {
    rows: 0,
    columns: 0,
    boxes: drawn.map(({ box }) => box),
    crops: drawn.map(({ crop }) => crop),
    labels: [],
    places: drawn.map(({ index }) => (index < 0 ? -1 : firstRegion(regions, file) + index)),
  };
}

function chooseCells(
  { maxSplit, maxBoxes, cropScale }: RegionRules,
  random: KeyedRandom,
  width: number,
  height: number,
): ChosenRegions {
  const { rows, columns, fractions } = drawGridPatches(random, maxSplit, maxBoxes);
  const pixels = fractionsToPixels(fractions, width, height);
  const boxes = Array.from(
    { length: pixels.length / 4 },
    (_, box) => [...pixels.subarray(box * 4, box * 4 + 4)] as Corners,
  );
  const crops = boxes.map(box => enlargeBox(box, cropScale, width, height));
  return { rows, columns, boxes, crops, labels: [], places: boxes.map(() => -1) };
}
