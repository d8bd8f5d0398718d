/** A workspace that a test may change: copies of the sample images in a temporary folder. */

import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from './browserPrerequisites.ts';
import { temporaryFolder } from './temporaryFolder.ts';

export interface SampleWorkspace {
  /** Absolute path, ending in a name that reads well in a window's title. */
  path: string;
  /** Absolute path of the folder that holds the images. */
  images: string;
  remove(): Promise<void>;
}

/** Copies `count` sample images (in order of their names) into the folder `images` of a new workspace. */
export async function sampleWorkspace(count = Number.POSITIVE_INFINITY): Promise<SampleWorkspace> {
  const source = join(repositoryRoot, 'media/demo/images');
  const images = (await readdir(source))
    .filter(name => name.endsWith('.jpg'))
    .sort()
    .slice(0, count);
  if (images.length === 0)
    throw new Error(`${source} holds no sample images: restore media/demo from the repository`);
  const folder = await temporaryFolder();
  const path = folder.file('scenes');
  for (const name of images) await cp(join(source, name), join(path, 'images', name));
  return { path, images: join(path, 'images'), remove: folder.remove };
}
