/** A workspace that a test may change: copies of the sample images in a temporary folder. */

import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from './browserPrerequisites.ts';
import { type TemporaryFolder, temporaryFolder } from './temporaryFolder.ts';

export const SAMPLE_IMAGES = 'images';

/** Copies `count` sample images (in order of their names) into the folder `images` of a new workspace. */
export async function sampleWorkspace(count = Number.POSITIVE_INFINITY): Promise<TemporaryFolder> {
  const source = join(repositoryRoot, 'media/demo/images');
  const images = (await readdir(source)).filter(name => name.endsWith('.jpg')).sort().slice(0, count);
  if (images.length === 0) throw new Error(`${source} holds no sample images: restore media/demo from the repository`);
  const workspace = await temporaryFolder();
  for (const name of images) await cp(join(source, name), workspace.file(join(SAMPLE_IMAGES, name)));
  return workspace;
}
