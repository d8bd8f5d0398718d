import { element } from '../dom.ts';
import { formatChange, formatCosine } from '../format.ts';
import { colourMapOf } from './cellPixels.ts';
import { validStatistics } from './featureMap.ts';
import { scalarLegend } from './legend.ts';
import { cosineDistances } from './mapStatistics.ts';
import type { InspectorPanel } from './panel.ts';
import type { Picture, ReadyColumn } from './views/view.ts';

/** Why two maps cannot be compared patch by patch; null when they can. */
export function incomparableReason(first: ReadyColumn, last: ReadyColumn): string | null {
  const [a, b] = [first.map.grid, last.map.grid];
  if (a.rows !== b.rows || a.columns !== b.columns)
    return `A difference needs equal grids; the first column has ${a.rows} × ${a.columns} patches, this one ${b.rows} × ${b.columns}. Choose equal sizes.`;
  return null;
}

/**
 * The last column as difference to the first: where both show one number for each patch, the change of that number;
 * else the cosine distance of the features, which needs models of equal dimension. Null until these have arrived.
 */
export function differencePicture(
  panel: InspectorPanel,
  first: ReadyColumn,
  last: ReadyColumn,
): Picture | null {
  const reason = incomparableReason(first, last);
  if (reason !== null) return messagePicture(reason);
  const [a, b] = [panel.view?.picture(first)?.cells, panel.view?.picture(last)?.cells];
  if (a?.kind === 'values' && b?.kind === 'values')
    return changePicture(
      last,
      b.values.map((value, index) => value - a.values[index]!),
    );
  if (first.map.dimension !== last.map.dimension)
    return messagePicture(
      `Features of ${first.map.dimension} and ${last.map.dimension} channels cannot be compared directly. Choose Similarity to compare their heat maps.`,
    );
  const [from, to] = [first.map.values.features, last.map.values.features];
  if (from === null || to === null) return null;
  const distances = cosineDistances(from.features, to.features, last.map.dimension);
  const statistics = validStatistics(last.map.grid, distances);
  const range = [0, Math.max(statistics?.highest ?? 0, 1e-6)] as const;
  const colourMap = colourMapOf(panel.state.colourMap);
  return {
    cells: { kind: 'values', values: distances, low: range[0], high: range[1], colourMap },
    marks: null,
    legend: () => [
      scalarLegend(colourMap, range, value => value.toFixed(3), 'Cosine distance to the first column'),
    ],
    legendKey: `distance|${range.join()}|${colourMap}`,
    describe: patch => `cosine distance ${formatCosine(distances[patch] ?? Number.NaN)} to the first column`,
    facts: `cosine distance to the first column: mean ${formatCosine(statistics?.mean ?? Number.NaN)}, highest ${formatCosine(statistics?.highest ?? Number.NaN)}`,
  };
}

/** Changes on a scale with zero in its middle. */
function changePicture(last: ReadyColumn, values: Float32Array): Picture {
  const statistics = validStatistics(last.map.grid, values);
  const reach = statistics === null ? 1 : Math.max(-statistics.lowest, statistics.highest, 1e-6);
  const range = [-reach, reach] as const;
  const colourMap = 'difference';
  return {
    cells: { kind: 'values', values, low: range[0], high: range[1], colourMap },
    marks: null,
    legend: () => [scalarLegend(colourMap, range, formatChange, 'Change against the first column')],
    describe: patch => `change ${formatChange(values[patch] ?? Number.NaN)} against the first column`,
    legendKey: `change|${range.join()}|${colourMap}`,
    facts:
      statistics === null
        ? ''
        : `change against the first column: ${formatChange(statistics.lowest)} … ${formatChange(statistics.highest)}, mean ${formatChange(statistics.mean)}`,
  };
}

export function messagePicture(text: string): Picture {
  return {
    cells: null,
    marks: null,
    legend: () => [element('p', { class: 'empty', text })],
    legendKey: text,
    facts: '',
  };
}
