import { writeSafetensors } from '../checkpoints/safetensors.ts';
import { inWorld } from '../distributed/inWorld.ts';
import { findLaunch } from '../distributed/launcher.ts';
import { type DenseReadOut, denseReadOuts } from '../models/visionStages.ts';
import { UsageError } from '../usageError.ts';
import { featureTensors } from './featureFiles.ts';
import { featuresOfImages } from './featuresOfImages.ts';
import { type ImageOptions, imageHelp, imageUsage, readImageOptions } from './imageOptions.ts';
import { denseOptions, withImage } from './imageSubject.ts';

const help = `usage: clipself features --model M --image F --out F.safetensors ${imageUsage}
       clipself features --model M --images DIR|coco.json|SHARDS --out FOLDER [the same options]

Writes three tensors: image [D], the embedding of the whole image squared as the teacher sees it; dense [S/p, S/p, D],
the dense features in student geometry (longest side S, padded right and below); both of unit norm; valid [2], the
rows and columns of dense that hold image rather than padding.

Of many images each gets a file of its own, FOLDER/<name of the image>.safetensors. The same command goes on where it was
stopped. mpirun -n N clipself features --images … shares the images among N ranks; the files are the same.

${imageHelp()}`;

/** `clipself features`. */
export async function featuresCommand(args: string[]): Promise<void> {
  const read = readImageOptions('features', { images: { type: 'string' } }, denseReadOuts, args);
  if (!read) {
    console.log(help);
    return;
  }
  if (!read.own.has('images')) return featuresOfOne(read.options);
  if (read.options.image !== read.own.get('images'))
    throw new UsageError('--image and --images exclude each other');
  const { options } = read;
  await inWorld(world => featuresOfImages(world, options));
}

async function featuresOfOne(options: ImageOptions<DenseReadOut>): Promise<void> {
  if (findLaunch())
    throw new UsageError('features of one image need one process: start it without mpirun or srun');
  const { out, readOut, layer, json } = options;
  await withImage(options, async ({ tower, image, size }) => {
    const tensors = await featureTensors(tower.features, image, size, denseOptions(readOut, layer));
    await writeSafetensors(out, tensors);
    const [side, , dimension] = tensors.dense.shape as [number, number, number];
    const [rows, columns] = tensors.valid.data as Int32Array;
    if (json) {
      const valid = { rows, columns };
      console.log(JSON.stringify({ out, rows: side, columns: side, dimension, valid }));
    } else console.log(`${side} × ${side} dense features of ${dimension} channels: ${out}`);
  });
}
