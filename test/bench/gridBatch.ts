import { roiAlignRows } from '../../trainer/dense/roiPooling.ts';
import type { DistillationBatch } from '../../trainer/distill/regionLoss.ts';
import type { VisionArchitecture } from '../../trainer/models/architecture.ts';
import { uniform } from '../support/randomTower.ts';

/** One image and `crops` boxes of a square grid. */
export function gridBatch(
  { size, crops }: { size: number; crops: number },
  architecture: VisionArchitecture,
): DistillationBatch {
  const side = Math.floor(size / architecture.patchSize);
  const across = Math.ceil(Math.sqrt(crops));
  const boxes = Array.from({ length: crops }, (_, index) => {
    const [row, column] = [Math.floor(index / across), index % across];
    return [column, row, column + 1, row + 1].map(edge => (edge * side) / across);
  });
  const grid = { height: side, width: side };
  return {
    images: uniform(3 * size * size, 2, 1),
    crops: uniform(crops * 3 * architecture.imageSize ** 2, 2, 2),
    boxCounts: [crops],
    pooling: roiAlignRows(Float32Array.from(boxes.flat()), grid),
  };
}
