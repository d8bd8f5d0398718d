import { resolve } from 'node:path';
import { readOpenClipConfiguration } from '../../trainer/checkpoints/openClipConfiguration.ts';
import { readSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import type { DeviceTensor, Engine } from '../../trainer/engines/engine.ts';
import type { VisionArchitecture } from '../../trainer/models/architecture.ts';
import { fixturePath, type GoldenTensor, maxAbsDifference, readManifest } from './goldenTensors.ts';

interface TensorDescription {
  f32_vs_f64_max_abs?: number;
}

/** `config`, `files` and `train` of a model fixture's manifest. */
export interface ModelManifest {
  files: Record<string, { tensors: Record<string, TensorDescription> }>;
  train: {
    hyper: {
      lr: number;
      wd: number;
      warmup: number;
      total_steps: number;
      beta1: number;
      beta2: number;
      eps: number;
      unlocked_groups: number;
      alpha: number;
    };
    group_no_decay: string[];
    group_decay: string[];
    trainable_but_grad_None: string[];
    losses_f64: number[];
    lrs: number[];
  };
}

export const modelManifest = (model: string): ModelManifest => readManifest<ModelManifest>(model);

export async function goldenArchitecture(model: string): Promise<VisionArchitecture> {
  const file = fixturePath(`${model}/open_clip_config.json`);
  return (await readOpenClipConfiguration(file)).architecture;
}

/** Uploads the float32 tensors of a weights fixture by name. */
export async function uploadGoldenWeights(
  engine: Engine,
  model: string,
  file = 'weights.safetensors',
): Promise<Map<string, DeviceTensor>> {
  const { tensors } = await readSafetensors(resolve(fixturePath(`${model}/${file}`)));
  const uploaded = new Map<string, DeviceTensor>();
  for (const [name, { shape, data }] of tensors)
    if (data instanceof Float32Array) uploaded.set(name, engine.upload(shape, data));
  return uploaded;
}

/** Four times the reference's own rounding error (its distance from float64, which ours has too), and at least 1e-6. */
export function toleranceOf(manifest: ModelManifest, file: string, tensor: string): number {
  const stated = manifest.files[file]?.tensors[tensor]?.f32_vs_f64_max_abs;
  return Math.max(1e-6, 4 * (stated ?? 0));
}

/** Throws with the numbers when `actual` is further from the golden tensor than the fixture allows. */
export function assertAgrees(
  manifest: ModelManifest,
  file: string,
  tensor: string,
  actual: ArrayLike<number>,
  golden: Pick<GoldenTensor<Float32Array>, 'data'>,
): void {
  const tolerance = toleranceOf(manifest, file, tensor);
  const difference = maxAbsDifference(actual, golden.data);
  if (!(difference <= tolerance))
    throw new Error(`${tensor}: differs by ${difference}, more than ${tolerance}`);
}

/** Rows divided by max(‖row‖, 1e-12). */
export const unitRows = (rows: Float32Array, width: number): Float32Array => {
  const result = rows.slice();
  for (let start = 0; start < rows.length; start += width) {
    const row = result.subarray(start, start + width);
    const norm = Math.max(Math.hypot(...row), 1e-12);
    row.forEach((value, index) => {
      row[index] = value / norm;
    });
  }
  return result;
};

/** rows [count, cells] · features [cells, width] */
export function pool(rows: Float32Array, features: Float32Array, cells: number, width: number): Float32Array {
  const pooled = new Float32Array((rows.length / cells) * width);
  for (let row = 0; row < rows.length / cells; row++)
    for (let channel = 0; channel < width; channel++) {
      let sum = 0;
      for (let cell = 0; cell < cells; cell++)
        sum += rows[row * cells + cell]! * features[cell * width + channel]!;
      pooled[row * width + channel] = sum;
    }
  return pooled;
}

/** [B, h·w, D] → [B, D, h·w], the layout of the reference. */
export function channelsFirst(
  features: Float32Array,
  batch: number,
  cells: number,
  width: number,
): Float32Array {
  const result = new Float32Array(features.length);
  for (let image = 0; image < batch; image++)
    for (let cell = 0; cell < cells; cell++)
      for (let channel = 0; channel < width; channel++)
        result[(image * width + channel) * cells + cell] =
          features[(image * cells + cell) * width + channel]!;
  return result;
}
