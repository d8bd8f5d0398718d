import { type MapGrid, patchBox } from '../featureMap.ts';

/** One line for each patch that holds image: where it is, then what `cells` says of it. Header first. */
export function cellTable(
  grid: MapGrid,
  headings: readonly string[],
  cells: (patch: number) => string[],
): string[][] {
  const table = [['patch', 'row', 'column', 'x0', 'y0', 'x1', 'y1', ...headings]];
  for (let row = 0; row < grid.valid.rows; row++)
    for (let column = 0; column < grid.valid.columns; column++) {
      const patch = row * grid.columns + column;
      const box = patchBox(grid, patch).map(value => String(Number(value.toFixed(2))));
      table.push([String(patch), String(row), String(column), ...box, ...cells(patch)]);
    }
  return table;
}
