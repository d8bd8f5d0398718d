import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { writeSafetensors } from '../checkpoints/safetensors.ts';
import { denseReadOuts } from '../models/visionStages.ts';
import { imageHelp, imageUsage, readImageOptions } from './imageOptions.ts';
import { denseOptions, withImage } from './imageSubject.ts';

const help = `usage: clipself features --model M --image F --out F.safetensors ${imageUsage}

Writes three tensors: image [D], the embedding of the whole image squared as the teacher sees it; dense [S/p, S/p, D],
the dense features in student geometry (longest side S, padded right and below); both of unit norm; valid [2], the
rows and columns of dense that hold image rather than padding.

${imageHelp()}`;

/** `clipself features`. */
export async function featuresCommand(args: string[]): Promise<void> {
  const read = readImageOptions('features', {}, denseReadOuts, args);
  if (!read) {
    console.log(help);
    return;
  }
  const { out, readOut, layer, json } = read.options;
  await withImage(read.options, async ({ tower, image, size }) => {
    const embedding = await tower.features.crops(image, [[0, 0, image.width, image.height]]);
    const { features, side, valid } = await tower.features.dense(image, size, denseOptions(readOut, layer));
    const dimension = tower.features.embeddingDimension;
    const tensors: Record<string, HostTensor> = {
      image: { shape: [dimension], dtype: 'float32', data: embedding },
      dense: { shape: [side, side, dimension], dtype: 'float32', data: features },
      valid: { shape: [2], dtype: 'int32', data: Int32Array.of(valid.rows, valid.columns) },
    };
    await writeSafetensors(out, tensors);
    if (json) console.log(JSON.stringify({ out, rows: side, columns: side, dimension, valid }));
    else console.log(`${side} × ${side} dense features of ${dimension} channels: ${out}`);
  });
}
