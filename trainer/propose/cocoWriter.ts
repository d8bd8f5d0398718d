import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { writeAtomically, writeFully } from '../checkpoints/atomicFile.ts';
import type { ProposalBox } from '../distill/proposals.ts';

/** A region as COCO-style annotations hold it. */
export interface WrittenRegion {
  box: ProposalBox;
  /** Id of its category. */
  category: number;
  /** 0 … 1; left out where there is none. */
  score?: number;
}

export interface WrittenImage {
  /** Path below the image folder. */
  file: string;
  width: number;
  height: number;
  regions: readonly WrittenRegion[];
}

export interface WrittenCategory {
  id: number;
  name: string;
}

/** Hundredths of a pixel are more than a box can be trusted for, and keep the file small. */
const rounded = (value: number): number => Math.round(value * 100) / 100;

/**
 * Writes COCO-style annotations as images come in; memory holds the list of images alone. The file appears when all of
 * them are written.
 *
 * @param description Where the regions come from; `info.description` of the file.
 * @throws FileError, and whatever `images` throws; nothing is written then.
 */
export async function writeCoco(
  file: string,
  description: string,
  categories: readonly WrittenCategory[],
  images: AsyncIterable<WrittenImage>,
): Promise<{ images: number; regions: number }> {
  const entries: string[] = [];
  let regions = 0;
  await writeAtomically(path.resolve(file), async handle => {
    const write = (text: string): Promise<void> => writeFully(handle, Buffer.from(text));
    await write(`{"info":${JSON.stringify({ description })},\n"annotations":[`);
    for await (const image of images) {
      const id = entries.length + 1;
      const { file: file_name, width, height } = image;
      entries.push(JSON.stringify({ id, file_name: file_name.split(path.sep).join('/'), width, height }));
      regions = await writeRegions(handle, image, id, regions);
    }
    await write(`\n],\n"images":[\n${entries.join(',\n')}\n],\n`);
    await write(`"categories":${JSON.stringify(categories)}}\n`);
  });
  return { images: entries.length, regions };
}

/** @returns Regions written so far. */
async function writeRegions(
  handle: FileHandle,
  { regions }: WrittenImage,
  image: number,
  before: number,
): Promise<number> {
  let count = before;
  const lines = regions.map(({ box, category, score }) => {
    const bbox = box.map(rounded);
    const annotation = { id: ++count, image_id: image, category_id: category, bbox };
    const area = rounded(bbox[2]! * bbox[3]!);
    return JSON.stringify({ ...annotation, area, iscrowd: 0, ...(score === undefined ? {} : { score }) });
  });
  const text = lines.map((line, index) => `${before + index === 0 ? '\n' : ',\n'}${line}`).join('');
  await writeFully(handle, Buffer.from(text));
  return count;
}
