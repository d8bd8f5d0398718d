import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { writeSafetensors } from '../checkpoints/safetensors.ts';
import { decodeImage } from '../images/decode.ts';
import { checkSize, readImageOptions } from './imageOptions.ts';
import { openTower } from './openTower.ts';

const help = `usage: clipself features --model M --image F --size S --out F.safetensors [--arch A] [--engine E] [--threads N] [--json]

Writes three tensors: image [D], the embedding of the whole image squared as the teacher sees it; dense [S/p, S/p, D],
the dense features in student geometry (longest side S, padded right and below); both of unit norm; valid [2], the
rows and columns of dense that hold image rather than padding.`;

/** `clipself features`. */
export async function featuresCommand(args: string[]): Promise<void> {
  const options = readImageOptions('features', ['model', 'image', 'size', 'out'], args);
  if (!options) {
    console.log(help);
    return;
  }
  const { model, arch, image: file, size, out, engine, threads } = options;
  const tower = await openTower(model, arch, engine, threads);
  try {
    checkSize(size, tower.model.architecture.patchSize);
    const image = await decodeImage(file);
    const embedding = await tower.features.crops(image, [[0, 0, image.width, image.height]]);
    const { features, side, valid } = await tower.features.dense(image, size);
    const dimension = tower.features.embeddingDimension;
    const tensors: Record<string, HostTensor> = {
      image: { shape: [dimension], dtype: 'float32', data: embedding },
      dense: { shape: [side, side, dimension], dtype: 'float32', data: features },
      valid: { shape: [2], dtype: 'int32', data: Int32Array.of(valid.rows, valid.columns) },
    };
    await writeSafetensors(out, tensors);
    if (options.json) console.log(JSON.stringify({ out, rows: side, columns: side, dimension, valid }));
    else console.log(`${side} × ${side} dense features of ${dimension} channels: ${out}`);
  } finally {
    await tower.dispose();
  }
}
