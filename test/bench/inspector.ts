/** Times the inspector's numerics on made-up maps with structure: `npm run bench:inspector`. */
import type { FeatureMap } from '../../trainer/dense/featureMap.ts';
import { clusterMap } from '../../trainer/dense/kMeans.ts';
import { pcaOfMaps } from '../../trainer/dense/pca.ts';
import { patchQuery, similarityMap, toUnitMap } from '../../trainer/dense/similarity.ts';
import { keyedRandom } from '../../trainer/random.ts';

/** Sixteen directions with noise, as an image of sixteen things would give. */
function structuredMap(side: number, dimension: number): FeatureMap {
  const random = keyedRandom(0, side, dimension);
  const centres = Array.from({ length: 16 }, () =>
    Float32Array.from({ length: dimension }, () => random.float() - 0.5),
  );
  const features = new Float32Array(side * side * dimension);
  for (let cell = 0; cell < side * side; cell++) {
    const centre = centres[random.uint(16)]!;
    for (let channel = 0; channel < dimension; channel++)
      features[cell * dimension + channel] = centre[channel]! + 0.6 * (random.float() - 0.5);
  }
  return { features, rows: side, columns: side, dimension, valid: { rows: side, columns: side } };
}

function median(work: () => void, runs = 11): number {
  work();
  const milliseconds = Array.from({ length: runs }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return milliseconds.sort((a, b) => a - b)[Math.floor(runs / 2)]!;
}

for (const [side, dimension] of [
  [28, 512],
  [64, 768],
] as const) {
  const map = structuredMap(side, dimension);
  const unit = toUnitMap(map);
  const rows: [string, number][] = [
    ['K-Means, k = 16', median(() => clusterMap(map, { k: 16 }))],
    ['PCA, three components', median(() => pcaOfMaps([map]))],
    ['similarity, one move', median(() => similarityMap(unit, patchQuery(unit, 3, 5)), 51)],
  ];
  for (const [name, milliseconds] of rows)
    console.log(`${side} × ${side} × ${dimension}  ${name}: ${milliseconds.toFixed(1)} ms`);
}
