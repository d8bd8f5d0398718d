/** Models with random weights, for measuring: what is measured does not depend on what they learned. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostTensor } from '../../trainer/checkpoints/hostTensor.ts';
import { writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { visionTensorShapes } from '../../trainer/models/architecture.ts';
import { keyedRandom } from '../../trainer/random.ts';

/** The sizes of a CLIP vision transformer. */
export interface TowerOptions {
  embeddingDimension: number;
  imageSize: number;
  patchSize: number;
  layers: number;
  width: number;
  headWidth: number;
}

export const vitB16: TowerOptions = {
  ...{ embeddingDimension: 512, imageSize: 224, patchSize: 16, layers: 12, width: 768, headWidth: 64 },
};

/** Writes a folder with `open_clip_config.json` and weights of the image tower, with the spread of an initialised one. */
export async function writeRandomModel(folder: string, options: TowerOptions): Promise<void> {
  const { embeddingDimension, imageSize, patchSize, layers, width, headWidth } = options;
  await mkdir(folder, { recursive: true });
  const visual = { image_size: imageSize, layers, width, head_width: headWidth, patch_size: patchSize };
  const text = { context_length: 77, vocab_size: 49408, width: 512, heads: 8, layers: 12 };
  const configuration = { model_cfg: { embed_dim: embeddingDimension, vision_cfg: visual, text_cfg: text } };
  await writeFile(join(folder, 'open_clip_config.json'), JSON.stringify(configuration));
  const tensors: Record<string, HostTensor> = {};
  const shapes = visionTensorShapes({
    ...{ kind: 'openclip', name: null, activation: 'gelu', text: { kind: 'none' } },
    ...{ embeddingDimension, imageSize, patchSize, layers, width },
    ...{ heads: width / headWidth, mlpWidth: 4 * width },
  });
  for (const [name, shape] of shapes) {
    const random = keyedRandom(shapes.size, Object.keys(tensors).length);
    const isScale = /ln_\w+\.weight$/.test(name);
    const data = Float32Array.from({ length: shape.reduce((product, length) => product * length, 1) }, () =>
      isScale ? 1 : 0.06 * (random.float() - 0.5),
    );
    tensors[name] = { shape, dtype: 'float32', data };
  }
  await writeSafetensors(join(folder, 'open_clip_model.safetensors'), tensors);
}
