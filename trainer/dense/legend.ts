/** What the colours of a layer mean, as data: the panels draw it, the terminal prints it. */

import { type ColourMapName, clusterColour, colourTable, cssColour } from './colourMaps.ts';

export interface ClusterLegendEntry {
  cluster: number;
  /** `#rrggbb`. */
  colour: string;
  /** Share of the image's cells. */
  share: number;
}

/**
 * @param shares Share of the image in each cluster.
 * @param colours Number in the cluster palette by cluster.
 */
export function clusterLegend(shares: readonly number[], colours: ArrayLike<number>): ClusterLegendEntry[] {
  return shares.map((share, cluster) => ({
    cluster,
    colour: cssColour(clusterColour(colours[cluster]!)),
    share,
  }));
}

export interface ValueLegendStop {
  value: number;
  /** `#rrggbb`. */
  colour: string;
}

/** Evenly spaced values from `low` to `high` with their colours. */
export function valueLegend(
  low: number,
  high: number,
  colourMap: ColourMapName,
  stops = 9,
): ValueLegendStop[] {
  const table = colourTable(colourMap);
  return Array.from({ length: stops }, (_, index) => {
    const share = index / (stops - 1);
    const start = Math.round(255 * share) * 3;
    return {
      value: low + share * (high - low),
      colour: cssColour(Array.from(table.subarray(start, start + 3))),
    };
  });
}
