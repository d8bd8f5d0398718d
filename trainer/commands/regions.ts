import { FileError } from '../checkpoints/fileError.ts';
import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { readJson } from '../checkpoints/jsonFile.ts';
import { writeSafetensors } from '../checkpoints/safetensors.ts';
import { decodeImage } from '../images/decode.ts';
import { degenerateCropReason, type PixelBox } from '../images/geometry.ts';
import { checkSize, readImageOptions } from './imageOptions.ts';
import { openTower } from './openTower.ts';

const help = `usage: clipself regions --model M --image F --boxes boxes.json --size S --out F.safetensors [--arch A] [--engine E] [--threads N] [--json]

boxes.json holds [[x0, y0, x1, y1], …] in pixels of the image file. Writes two tensors, both [n, D] of unit norm: roi,
the dense features pooled over each box, and crop, the embedding of each box cut out as the teacher sees it.`;

/** `clipself regions`. */
export async function regionsCommand(args: string[]): Promise<void> {
  const options = readImageOptions('regions', ['model', 'image', 'boxes', 'size', 'out'], args);
  if (!options) {
    console.log(help);
    return;
  }
  const { model, arch, image: file, size, out, engine, threads } = options;
  const boxes = await readBoxes(options.boxes);
  const tower = await openTower(model, arch, engine, threads);
  try {
    const { patchSize, imageSize } = tower.model.architecture;
    checkSize(size, patchSize);
    boxes.forEach((box, index) => {
      const reason = degenerateCropReason(box, imageSize);
      if (reason)
        throw new FileError(
          options.boxes,
          `box ${index} cannot be cut out: ${reason}`,
          'Correct or remove it',
        );
    });
    const image = await decodeImage(file);
    const dense = await tower.features.dense(image, size);
    const shape = [boxes.length, tower.features.embeddingDimension];
    const tensors: Record<string, HostTensor> = {
      roi: { shape, dtype: 'float32', data: tower.features.pool(dense, image, size, boxes) },
      crop: { shape, dtype: 'float32', data: await tower.features.crops(image, boxes) },
    };
    await writeSafetensors(out, tensors);
    if (options.json) console.log(JSON.stringify({ out, boxes: boxes.length, dimension: shape[1] }));
    else console.log(`${boxes.length} boxes, ${shape[1]} channels: ${out}`);
  } finally {
    await tower.dispose();
  }
}

/** Boxes of a JSON file; each error names the box. */
async function readBoxes(file: string): Promise<PixelBox[]> {
  const content = await readJson(file);
  const advice = 'Write [[x0, y0, x1, y1], …] in pixels of the image';
  if (!Array.isArray(content) || content.length === 0)
    throw new FileError(file, 'it holds no list of boxes', advice);
  return content.map((box: unknown, index) => {
    const isBox = Array.isArray(box) && box.length === 4 && box.every(edge => Number.isFinite(edge));
    if (!isBox) throw new FileError(file, `box ${index} is not four numbers`, advice);
    return box as unknown as PixelBox;
  });
}
