/** What the colours of a layer mean, as data: the panels draw it, the terminal prints it. */

import { clusterColour, cssColour } from './colourMaps.ts';

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
