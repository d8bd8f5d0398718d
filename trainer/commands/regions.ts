import { FileError } from '../checkpoints/fileError.ts';
import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { readJson } from '../checkpoints/jsonFile.ts';
import { writeSafetensors } from '../checkpoints/safetensors.ts';
import { dotOfRows } from '../dense/dotProducts.ts';
import { nearestWords, type Words } from '../dense/words.ts';
import { degenerateCropReason, type PixelBox } from '../images/geometry.ts';
import { describeArchitecture } from '../models/architecture.ts';
import { hasMaskAttention } from '../models/maskAttention.ts';
import { denseReadOuts } from '../models/visionStages.ts';
import { SettingError } from '../training/settings.ts';
import { UsageError } from '../usageError.ts';
import { type ImageOptions, imageHelp, imageUsage, readImageOptions } from './imageOptions.ts';
import { denseOptions, type ImageSubject, withImage } from './imageSubject.ts';
import { writeRegionOverlay } from './regionOverlay.ts';
import { embedWords, readWordChoice, wordHelp, wordOptions, wordUsage } from './wordOptions.ts';

/** Words of each region. */
const namesShown = 5;

const readOuts = [...denseReadOuts, 'maskAttention'] as const;

type RegionOptions = ImageOptions<(typeof readOuts)[number]>;

const help = `usage: clipself regions --model M --image F --boxes boxes.json --out F.safetensors [--overlay F.png] ${imageUsage}
                        [${wordUsage}]

boxes.json holds [[x0, y0, x1, y1], …] in pixels of the image file. Writes two tensors, both [n, D] of unit norm: roi,
the dense features pooled over each box, and crop, the embedding of each box cut out as the teacher sees it.
With words, prints the five nearest to each of the two.

  --overlay F   draws the boxes over the image, with their places in boxes.json (from 0) and the cosines of roi and crop
${wordHelp}
${imageHelp(readOuts)}
                maskAttention: roi is instead the class token that sees the patches of the box alone; CLIP ViTs only`;

/** `clipself regions`. */
export async function regionsCommand(args: string[]): Promise<void> {
  const own = { boxes: { type: 'string' }, overlay: { type: 'string' }, ...wordOptions } as const;
  const read = readImageOptions('regions', own, readOuts, args);
  if (!read) {
    console.log(help);
    return;
  }
  const { options } = read;
  const boxesFile = read.own.get('boxes');
  if (boxesFile === undefined) throw new UsageError('regions needs --boxes (clipself regions --help)');
  if (options.readOut === 'maskAttention' && options.layer !== null)
    throw new UsageError('--read-out maskAttention goes through all layers: leave out --layer');
  const boxes = await readBoxes(boxesFile);
  const choice = await readWordChoice(read.own);
  const words = choice && (await embedWords(choice, options));
  await withImage(options, async subject => {
    const { tower, image } = subject;
    checkBoxes(boxesFile, boxes, tower.model.architecture.imageSize);
    const dimension = tower.features.embeddingDimension;
    const shape = [boxes.length, dimension];
    const roi = await regionFeatures(subject, boxes, options);
    const crop = await tower.features.crops(image, boxes);
    const tensors: Record<string, HostTensor> = {
      roi: { shape, dtype: 'float32', data: roi },
      crop: { shape, dtype: 'float32', data: crop },
    };
    const { out, json } = options;
    await writeSafetensors(out, tensors);
    const cosines = boxes.map((_, box) => dotOfRows(roi, box * dimension, crop, box * dimension, dimension));
    const overlay = read.own.get('overlay');
    if (overlay !== undefined) await writeRegionOverlay(image, boxes, cosines, overlay);
    if (json) {
      const names = words ? { words: regionWords(words, roi, crop) } : {};
      console.log(JSON.stringify({ out, boxes: boxes.length, dimension, cosines, ...names }));
      return;
    }
    const mean = cosines.reduce((sum, cosine) => sum + cosine, 0) / cosines.length;
    console.log(`${boxes.length} boxes, ${dimension} channels, mean cosine ${mean.toFixed(3)}: ${out}`);
    if (words) printRegionWords(regionWords(words, roi, crop));
  });
}

interface RegionWords {
  roi: { word: string; cosine: number }[];
  crop: { word: string; cosine: number }[];
}

/** The words nearest to the dense feature of each box and to its crop, best first. */
function regionWords(words: Words, roi: Float32Array, crop: Float32Array): RegionWords[] {
  const { dimension, names } = words;
  const named = (features: Float32Array, box: number): RegionWords['roi'] =>
    nearestWords(features.subarray(box * dimension, (box + 1) * dimension), words, namesShown).map(
      ({ word, cosine }) => ({ word: names[word]!, cosine }),
    );
  return Array.from({ length: roi.length / dimension }, (_, box) => ({
    roi: named(roi, box),
    crop: named(crop, box),
  }));
}

function printRegionWords(regions: readonly RegionWords[]): void {
  const line = (found: RegionWords['roi']): string =>
    found.map(({ word, cosine }) => `${word} ${cosine.toFixed(3)}`).join(', ');
  regions.forEach(({ roi, crop }, box) => {
    console.log(`  ${box}  dense feature: ${line(roi)}\n  ${box}  crop: ${line(crop)}`);
  });
}

/** [boxes, D] of unit norm. */
async function regionFeatures(
  { tower, image, size }: ImageSubject,
  boxes: readonly PixelBox[],
  { readOut, layer }: RegionOptions,
): Promise<Float32Array> {
  if (readOut !== 'maskAttention') {
    const dense = await tower.features.dense(image, size, denseOptions(readOut, layer));
    return tower.features.pool(dense, image, size, boxes);
  }
  const { architecture } = tower.model;
  if (!hasMaskAttention(architecture))
    throw new SettingError(
      `${describeArchitecture(architecture)} has no mask attention; choose another --read-out`,
    );
  return tower.features.maskAttention(image, size, boxes);
}

/** Each must leave something to be cut out for a teacher of `imageSize` pixels. */
function checkBoxes(file: string, boxes: readonly PixelBox[], imageSize: number): void {
  boxes.forEach((box, index) => {
    const reason = degenerateCropReason(box, imageSize);
    if (reason)
      throw new FileError(file, `box ${index} cannot be cut out: ${reason}`, 'Correct or remove it');
  });
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
