import { toUnitMap, type UnitMap } from '../../trainer/dense/similarity.ts';
import { fromFloat16 } from '../../trainer/float16.ts';
import { gridOf } from './featureMap.ts';
import type { FeatureQuery, FeaturesResult } from './protocol/requests.ts';
import type { LoadedMap } from './views/view.ts';

/** Decoded maps are kept up to this many bytes, and the ones in view always: 64 × 64 × 768 takes 12 MiB. */
const MAXIMUM_BYTES = 256 * 2 ** 20;

/** Feature maps of this document, decoded once, least recently used first. */
export class MapStore {
  readonly #maps = new Map<string, LoadedMap>();
  readonly #onRelease: (key: string) => void;

  /** `onRelease` is told when a map was given up to save memory. */
  constructor(onRelease: (key: string) => void) {
    this.#onRelease = onRelease;
  }

  /** The map of an answer, decoded if its values came with it; throws when neither they nor an older copy are there. */
  add(query: FeatureQuery, result: FeaturesResult, inView: ReadonlySet<string>): LoadedMap {
    const { key, dimension, size, milliseconds, cached } = result;
    const features = result.data === null ? this.#maps.get(key)?.features : decode(result, result.data);
    if (features === undefined) throw new Error('The features were not sent. Try again.');
    const map: LoadedMap = {
      key,
      grid: gridOf(result),
      dimension,
      features,
      size,
      image: query.image,
      milliseconds,
      cached,
    };
    this.#maps.delete(key);
    this.#maps.set(key, map);
    this.#limit(new Set([...inView, key]));
    return map;
  }

  /** Forgets all: the host has begun anew and sends everything again. */
  clear(): void {
    this.#maps.clear();
  }

  #limit(inView: ReadonlySet<string>): void {
    let bytes = 0;
    for (const map of this.#maps.values()) bytes += map.features.features.byteLength;
    for (const [key, map] of this.#maps) {
      if (bytes <= MAXIMUM_BYTES) return;
      if (inView.has(key)) continue;
      this.#maps.delete(key);
      bytes -= map.features.features.byteLength;
      this.#onRelease(key);
    }
  }
}

function decode({ rows, columns, valid, dimension }: FeaturesResult, data: ArrayBuffer): UnitMap {
  const count = rows * columns * dimension;
  if (data.byteLength !== count * 2)
    throw new Error(`${data.byteLength} bytes are not a ${rows} × ${columns} map of ${dimension} channels.`);
  return toUnitMap({ features: fromFloat16(new Uint16Array(data)), rows, columns, valid, dimension });
}
