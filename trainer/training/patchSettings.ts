import type { PatchSettings } from '../images/batch.ts';
import type { ImageList } from '../images/imageReader.ts';
import type { RegionStore } from '../images/regionStore.ts';
import type { TrainingSettings } from '../protocol.ts';
import type { RunPlan } from './runPlan.ts';

/**
 * How images of a run become patches.
 *
 * @param regions Boxes of these images; null for a grid.
 */
export function patchSettingsOf(
  plan: RunPlan,
  settings: TrainingSettings,
  images: ImageList,
  regions: RegionStore | null,
): PatchSettings {
  const { size, maxSplit, maxBoxes, seed } = settings;
  const { architecture, normalisation } = plan.model;
  const { imageSize: cropSize, patchSize } = architecture;
  // The context of proposals is nothing for the grid on which a run with labels is compared with its teacher.
  const cropScale = !regions && plan.regions ? 1 : settings.cropScale;
  const rules = { regions, maxSplit, maxBoxes, cropScale };
  return { ...images, ...rules, seed, size, cropSize, patchSize, normalisation };
}
