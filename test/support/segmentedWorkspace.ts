/** The sample scenes with labels in the manner of VOC, for segmenting them. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { type SampleWorkspace, sampleWorkspace } from './sampleWorkspace.ts';

export interface SegmentedWorkspace extends SampleWorkspace {
  /** Folder of the label images, and the list of their classes. */
  labels: string;
  classes: string;
}

/** Labels by brightness: dark, light, and the middle, of which a stripe is left out. They say nothing about the scenes. */
export async function segmentedWorkspace(count: number): Promise<SegmentedWorkspace> {
  const workspace = await sampleWorkspace(count);
  const labels = path.join(workspace.path, 'labels');
  const classes = path.join(workspace.path, 'classes.txt');
  await mkdir(labels);
  await writeFile(classes, 'a dark thing\nthe middle\na light thing\n');
  for (const name of await readdir(workspace.images)) {
    const { data, info } = await sharp(path.join(workspace.images, name))
      .greyscale()
      .blur(4)
      .raw()
      .toBuffer({ resolveWithObject: true });
    const values = data.map((value, at) =>
      at % info.width < 12 ? 255 : value < 110 ? 0 : value < 190 ? 1 : 2,
    );
    await sharp(values, { raw: { width: info.width, height: info.height, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toFile(path.join(labels, name.replace(/\.jpg$/, '.png')));
  }
  return { ...workspace, labels, classes };
}
