import { toUnitMap, type UnitMap } from '../../trainer/dense/similarity.ts';
import { fromFloat16 } from '../../trainer/float16.ts';
import { gridOf, type MapGrid } from './featureMap.ts';
import type { FeatureQuery, MapResult } from './protocol/requests.ts';

/** Decoded maps are kept up to this many bytes, and the ones in view always: 64 × 64 × 768 takes 12 MiB. */
const MAXIMUM_BYTES = 256 * 2 ** 20;

/** The values of a map, the same object for all answers of its key. */
export interface MapValues {
  /** Null until a view has needed them, see `MapStore.load`. */
  features: UnitMap | null;
}

/** A feature map that has been computed. */
export interface LoadedMap {
  key: string;
  grid: MapGrid;
  dimension: number;
  readonly values: MapValues;
  /** Longest side of the input in pixels, as computed. */
  size: number;
  /** Index of the image in the panel. */
  image: number;
  milliseconds: { decode: number; forward: number; total: number };
  cached: boolean;
}

/** Feature maps of this document; their values are fetched when they are first needed, and decoded once. */
export class MapStore {
  /** By key, least recently used first. */
  readonly #values = new Map<string, MapValues>();
  readonly #loading = new Map<MapValues, Promise<void>>();
  readonly #fetch: (key: string) => Promise<ArrayBuffer>;

  /** @param fetch Asks for little-endian float16 values [rows, columns, dimension]. */
  constructor(fetch: (key: string) => Promise<ArrayBuffer>) {
    this.#fetch = fetch;
  }

  /** The map of an answer, with the values that an earlier answer of the same key led to. */
  add(query: FeatureQuery, result: MapResult): LoadedMap {
    const { key, dimension, size, milliseconds, cached } = result;
    const values = this.#values.get(key) ?? { features: null };
    this.#values.delete(key);
    this.#values.set(key, values);
    return { key, grid: gridOf(result), dimension, values, size, image: query.image, milliseconds, cached };
  }

  /** Fetches the values of maps that have none yet; those of `maps` and `inView` stay. */
  async load(maps: readonly LoadedMap[], inView: ReadonlySet<string>): Promise<void> {
    for (const map of maps) {
      if (map.values.features !== null) continue;
      // Given up by nobody: whoever changes their mind meanwhile needs the same values next.
      await (this.#loading.get(map.values) ?? this.#load(map));
    }
    this.#limit(new Set([...inView, ...maps.map(({ key }) => key)]));
  }

  /** Forgets all: the host has begun anew. */
  clear(): void {
    this.#values.clear();
    this.#loading.clear();
  }

  #load({ key, grid, dimension, values }: LoadedMap): Promise<void> {
    const loading = this.#fetch(key)
      .then(data => {
        values.features = decode(grid, dimension, data);
      })
      .finally(() => this.#loading.delete(values));
    this.#loading.set(values, loading);
    return loading;
  }

  #limit(inView: ReadonlySet<string>): void {
    const bytesOf = ({ features }: MapValues): number => features?.features.byteLength ?? 0;
    let bytes = 0;
    for (const values of this.#values.values()) bytes += bytesOf(values);
    for (const [key, values] of this.#values) {
      if (bytes <= MAXIMUM_BYTES) return;
      if (inView.has(key)) continue;
      this.#values.delete(key);
      bytes -= bytesOf(values);
      values.features = null;
    }
  }
}

function decode({ rows, columns, valid }: MapGrid, dimension: number, data: ArrayBuffer): UnitMap {
  const count = rows * columns * dimension;
  if (data.byteLength !== count * 2)
    throw new Error(`${data.byteLength} bytes are not a ${rows} × ${columns} map of ${dimension} channels.`);
  return toUnitMap({ features: fromFloat16(new Uint16Array(data)), rows, columns, valid, dimension });
}
