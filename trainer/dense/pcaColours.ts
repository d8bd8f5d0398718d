/** Coordinates along principal components as colours; nothing that fits them, so that a panel carries this alone. */

import { type MapSize, validCellIndices } from './featureMap.ts';

/** At least so many components are fitted, whichever are shown: showing others then needs no new fit. */
export const fittedComponents = 8;

/** Percentiles that become 0 and 255: a few outlier tokens must not take all the colours. */
const pcaPercentiles = { low: 1, high: 99 } as const;

/**
 * Coordinates as colours: over all maps together, each component's 1st percentile becomes 0, its 99th 255, linear in
 * between, what lies outside is clamped.
 *
 * @param coordinates For each map [n, 3].
 * @returns For each map [n, 3], 0 … 255.
 */
export function pcaColours(coordinates: readonly Float32Array[]): Uint8Array[] {
  const ranges = [0, 1, 2].map(channel => {
    const values = Float32Array.from(
      coordinates.flatMap(map => Array.from(map.filter((_, index) => index % 3 === channel))),
    ).sort();
    return {
      low: percentile(values, pcaPercentiles.low),
      high: percentile(values, pcaPercentiles.high),
    };
  });
  return coordinates.map(map =>
    Uint8Array.from(map, (value, index) => {
      const { low, high } = ranges[index % 3]!;
      const share = high > low ? (value - low) / (high - low) : 0.5;
      return Math.round(255 * Math.min(Math.max(share, 0), 1));
    }),
  );
}

/** The percentile of sorted values, linear between neighbours (NumPy's default). */
export function percentile(sorted: Float32Array, percent: number): number {
  const position = ((sorted.length - 1) * percent) / 100;
  const below = Math.floor(position);
  const share = position - below;
  const low = sorted[below]!;
  return share === 0 ? low : low + share * (sorted[below + 1]! - low);
}

/**
 * Three components out of all that were fitted.
 *
 * @param coordinates For each map [valid cells, fitted].
 * @returns For each map [valid cells, 3].
 */
export function chosenCoordinates(
  coordinates: readonly Float32Array[],
  fitted: number,
  components: readonly [number, number, number],
): Float32Array[] {
  return coordinates.map(own =>
    Float32Array.from(
      { length: (own.length / fitted) * 3 },
      (_, index) => own[Math.floor(index / 3) * fitted + components[index % 3]!]!,
    ),
  );
}

/**
 * Colours of all cells of maps, in one scaling.
 *
 * @param coordinates For each map [valid cells, 3].
 * @returns For each map [rows, columns, 3], 0 … 255; black on padding.
 */
export function mapColours(coordinates: readonly Float32Array[], maps: readonly MapSize[]): Uint8Array[] {
  return pcaColours(coordinates).map((colour, index) => {
    const map = maps[index]!;
    const placed = new Uint8Array(map.rows * map.columns * 3);
    validCellIndices(map).forEach((cell, at) => {
      placed.set(colour.subarray(at * 3, at * 3 + 3), cell * 3);
    });
    return placed;
  });
}
