import type { ProposalBox } from '../distill/proposals.ts';
import { fitLongestSide } from '../images/geometry.ts';
import { placeAsRgb, type Raster } from '../images/raster.ts';
import { resizeImage } from '../images/resample.ts';
import { pixelEdges, segmentGraph } from './graphSegmentation.ts';
import { groupRegions, type Region } from './grouping.ts';
import { type LabImage, labOf } from './lab.ts';
import { overlapOf } from './recall.ts';

/** Longest side in pixels at which images are segmented. */
const workingSide = 256;
/** From fine to coarse segments: what one of them misses another may have. */
const scales = [50, 150, 300];
const leastSegment = 20;
/** Boxes that overlap an earlier one by more are left out. */
const mostOverlap = 0.6;

/**
 * Proposes regions of an image without labels and without a model, by selective search (Uijlings et al., IJCV 2013) on
 * colour: graph-based segmentations at several scales, each grouped until one region is left. Of all regions that
 * came to be, large ones that fill their boxes come first. Nothing is drawn at random: the same pixels give the same
 * boxes.
 *
 * @returns At most `count` boxes, the most promising first.
 */
export function proposeBoxes(image: Raster, count: number): ProposalBox[] {
  const { small, scale } = smallImage(image);
  const edges = pixelEdges(small);
  const regions = scales.flatMap(size => groupRegions(small, segmentGraph(edges, size, leastSegment)));
  return distinctBoxes(regions, count).map(([x0, y0, x1, y1]) => {
    const [left, top] = [x0 / scale, y0 / scale];
    return [left, top, Math.min(x1 / scale, image.width) - left, Math.min(y1 / scale, image.height) - top];
  });
}

function smallImage(image: Raster): { small: LabImage; scale: number } {
  const fitted = fitLongestSide(image.width, image.height, workingSide);
  const scale = Math.min(1, fitted.scale);
  const size = scale < 1 ? { width: Math.max(1, fitted.width), height: Math.max(1, fitted.height) } : image;
  const rgb = new Uint8Array(size.width * size.height * 3);
  placeAsRgb(resizeImage(image, size.width, size.height), rgb, size.width, 0, 0);
  return { small: labOf(rgb, size), scale };
}

/** Boxes of the regions by √(box) · share of the box that the region fills; near repetitions are left out. */
function distinctBoxes(regions: readonly Region[], count: number): Region['box'][] {
  const promising = regions
    .map(({ box, pixels }) => {
      const area = (box[2] - box[0]) * (box[3] - box[1]);
      return { box, promise: pixels / Math.sqrt(area) };
    })
    .sort((a, b) => b.promise - a.promise);
  const kept: Region['box'][] = [];
  for (const { box } of promising) {
    if (kept.length >= count) break;
    if (kept.every(other => overlapOf(box, other) <= mostOverlap)) kept.push(box);
  }
  return kept;
}
