import { keyedRandom } from '../random.ts';
import { loadStyle } from '../world/icons.ts';
import { compressed } from '../world/jpeg.ts';
import { paintScene, sceneDefaults } from '../world/scene.ts';
import type { StyleName } from '../world/styles.ts';
import { visibleSegments } from '../world/truth.ts';
import { type Crop, cropOf, isExample } from './pairCrops.ts';

/** Keys the scenes of evaluations: no training draws from it, whatever its seed. */
const evaluationKey = 'evaluation scene';

/** Things of an evaluated scene at least, and how many more there may be. */
const [fewestThings, moreThings] = [4, 6];

/**
 * Crops of things from scenes of one style with the looks of a written data set: as many of each class as possible,
 * the same for the same seed.
 */
export async function evaluationCrops(
  style: StyleName,
  count: number,
  cropSize: number,
  seed: number,
): Promise<Crop[]> {
  const sprites = await loadStyle(style);
  const quota = Math.ceil(count / sprites.size);
  const taken = new Map<number, number>();
  const crops: Crop[] = [];
  for (let index = 0; crops.length < count; index++) {
    const random = keyedRandom(seed, evaluationKey, style, index);
    const things = random.shuffle([...sprites.keys()]);
    const missing = things.filter(category => (taken.get(category - 1) ?? 0) < quota);
    const chosen = missing.slice(0, fewestThings + random.uint(moreThings));
    const scene = await compressed(paintScene(random, sprites, chosen, sceneDefaults), random);
    for (const segment of visibleSegments(scene)) {
      const label = segment.category - 1;
      if (!isExample(segment) || crops.length === count) continue;
      taken.set(label, (taken.get(label) ?? 0) + 1);
      crops.push({ label, pixels: cropOf(scene, segment.box, cropSize) });
    }
  }
  return crops;
}
