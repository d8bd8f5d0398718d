import { matchByCentroids, matchByOverlap, persistentColours } from '../dense/clusterMatching.ts';
import {
  type ClusterPoints,
  clusterCells,
  clusterPointsOf,
  clusterShares,
  type MapClusters,
} from '../dense/kMeans.ts';
import { medianFilterLabels } from '../dense/medianFilter.ts';
import type { FeatureMaps, HostMap } from './featureMaps.ts';
import { InspectError } from './inspectError.ts';
import { Latest } from './latest.ts';
import type { ClusterSettings, KMeansMap, KMeansParams, KMeansResult, MapResult } from './protocol.ts';
import type { RequestContext } from './requestContext.ts';

interface Clustered {
  map: Omit<HostMap, 'features'>;
  clusters: MapClusters;
}

/** Clusterings of late: moving a slider back or smoothing needs no new one. */
const keptClusterings = 96;

/** Maps made ready for clusterings, for the next number of clusters. */
const keptPointBytes = 64 * 2 ** 20;

/** Most clusters of the panel's slider; more make the points ready once more. */
const usualClusters = 20;

/** The cells of a map, ready to be clustered. */
interface Ready {
  map: Omit<HostMap, 'features'>;
  points: ClusterPoints;
}

/** K-Means of cached maps. */
export class ClusterRequests {
  readonly #maps: FeatureMaps;
  readonly #clustered = new Latest<Clustered>(keptClusterings);
  readonly #ready = new Latest<Ready>(keptPointBytes, ({ points }) => points.byteLength);

  constructor(maps: FeatureMaps) {
    this.#maps = maps;
  }

  /** `inspect/kMeans`: each map by itself; clusters take the numbers of those of the reference that they match. */
  async kMeans(params: KMeansParams, context: RequestContext): Promise<KMeansResult> {
    const started = performance.now();
    const { keys, smooth, k } = params;
    const reference = await this.#cluster(params.reference ?? keys[0]!, params);
    const maps: KMeansMap[] = [];
    for (const [index, key] of keys.entries()) {
      context.progress('computing', index / keys.length);
      await context.breathe();
      const { map, clusters } = await this.#cluster(key, params);
      const numbers = matchedNumbers({ map, clusters }, reference, k);
      const matched = clusters.labels.map(label => (label < 0 ? label : numbers[label]!));
      const labels = smooth ? medianFilterLabels(matched, map) : matched;
      maps.push({ key, labels: Array.from(labels), shares: clusterShares(labels, k, map) });
    }
    return { maps, milliseconds: performance.now() - started };
  }

  /** The same of one map, which it was found fit for; null where it has too few patches. */
  async ofMap(
    { key, valid }: Pick<MapResult, 'key' | 'valid'>,
    settings: ClusterSettings,
    context: RequestContext,
  ): Promise<KMeansMap | null> {
    if (settings.k > valid.rows * valid.columns) return null;
    const { maps } = await this.kMeans({ keys: [key], ...settings, reference: null }, context);
    return maps[0] ?? null;
  }

  async #cluster(key: string, { k, seed, restarts }: KMeansParams): Promise<Clustered> {
    const memo = JSON.stringify([key, k, seed, restarts]);
    const known = this.#clustered.get(memo);
    if (known) return known;
    const { map, points } = await this.#makeReady(key, k);
    const cells = map.valid.rows * map.valid.columns;
    if (k > cells)
      throw new InspectError('badRequest', `${cells} patches cannot be divided into ${k} clusters`);
    const clustered = { map, clusters: clusterCells(map, points, { k, seed, restarts }) };
    this.#clustered.set(memo, clustered);
    return clustered;
  }

  async #makeReady(key: string, k: number): Promise<Ready> {
    const known = this.#ready.get(key);
    if (known && known.points.all.capacity >= k) return known;
    const { features, ...map } = await this.#maps.read(key);
    const ready = { map, points: clusterPointsOf({ ...map, features }, Math.max(k, usualClusters)) };
    this.#ready.set(key, ready);
    return ready;
  }
}

/** For each cluster its number: by place on the same image, by likeness of centroids on another one. */
function matchedNumbers(own: Clustered, reference: Clustered, k: number): Int32Array {
  const sameSpace = own.map.dimension === reference.map.dimension;
  const identity = Int32Array.from({ length: k }, (_, index) => index);
  if (own === reference) return identity;
  if (own.map.image !== reference.map.image) {
    if (!sameSpace) return identity;
    const matches = matchByCentroids(own.clusters.centroids, reference.clusters.centroids, own.map.dimension);
    return persistentColours(matches, identity);
  }
  const labelMap = ({ map, clusters: { labels } }: Clustered) => ({ ...map, labels });
  return persistentColours(matchByOverlap(labelMap(own), k, labelMap(reference), k), identity);
}
