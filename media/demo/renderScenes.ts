/** Renders the sample scenes: `npx tsx media/demo/renderScenes.ts [folder]`. The folder is media/demo/images where not given. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { scenes } from './scenes/catalogue.ts';
import { composeScene } from './scenes/compose.ts';
import type { Scene } from './scenes/scene.ts';

/** Renders one scene to a JPEG file's bytes. */
export async function renderScene(scene: Scene): Promise<Buffer> {
  const svg = Buffer.from(await composeScene(scene));
  return sharp(svg)
    .flatten({ background: '#ffffff' })
    .jpeg({ quality: 85, chromaSubsampling: '4:2:0' })
    .toBuffer();
}

/** `scene-01.jpg` for the first scene. */
export function sceneFileName(index: number): string {
  return `scene-${String(index + 1).padStart(2, '0')}.jpg`;
}

async function renderAll(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  let bytes = 0;
  for (const [index, scene] of scenes.entries()) {
    const jpeg = await renderScene(scene);
    await writeFile(join(folder, sceneFileName(index)), jpeg);
    bytes += jpeg.length;
  }
  console.log(`${scenes.length} scenes, ${(bytes / 1e6).toFixed(2)} MB, in ${folder}`);
}

const invokedPath = process.argv[1];
if (invokedPath !== undefined && import.meta.url === pathToFileURL(invokedPath).href) {
  await renderAll(process.argv[2] ?? fileURLToPath(new URL('images', import.meta.url)));
}
