import type { MapSize } from './featureMap.ts';

/**
 * Smooths a label map: each cell takes the commonest label of the square around it. Labels have no order, so this
 * mode stands where a median stands for numbers. Of equally common labels the cell's own wins, then the lowest.
 *
 * @param labels [rows, columns]; padding and whatever else is −1 has no vote and stays −1.
 * @param radius Cells to each side; 1 looks at 3 × 3.
 */
export function medianFilterLabels(labels: Int16Array, size: MapSize, radius = 1): Int16Array {
  const { rows, columns } = size;
  if (labels.length !== rows * columns)
    throw new Error(`${labels.length} labels are not a ${rows} × ${columns} map`);
  const votes = new Int32Array(labels.reduce((most, label) => Math.max(most, label), -1) + 1);
  const filtered = new Int16Array(labels.length).fill(-1);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const own = labels[row * columns + column]!;
      if (own < 0) continue;
      votes.fill(0);
      for (let y = Math.max(row - radius, 0); y <= Math.min(row + radius, rows - 1); y++)
        for (let x = Math.max(column - radius, 0); x <= Math.min(column + radius, columns - 1); x++) {
          const label = labels[y * columns + x]!;
          if (label >= 0) votes[label]!++;
        }
      filtered[row * columns + column] = commonest(votes, own);
    }
  return filtered;
}

function commonest(votes: Int32Array, own: number): number {
  let best = own;
  for (let label = 0; label < votes.length; label++) if (votes[label]! > votes[best]!) best = label;
  return best;
}
