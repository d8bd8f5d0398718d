import sharp from 'sharp';
import type { KeyedRandom } from '../random.ts';
import type { Scene } from './scene.ts';

/** Qualities that scenes are compressed with. */
const qualities = { least: 60, most: 95 } as const;

/** The scene as a JPEG file's bytes, of a quality drawn for it. */
export function encodeJpeg({ rgb, width, height }: Scene, random: KeyedRandom): Promise<Buffer> {
  const quality = qualities.least + random.uint(qualities.most - qualities.least + 1);
  return sharp(rgb, { raw: { width, height, channels: 3 } })
    .jpeg({ quality, chromaSubsampling: '4:2:0' })
    .toBuffer();
}

/** The scene as it looks after compression, as anyone sees it who reads the file. */
export async function compressed(scene: Scene, random: KeyedRandom): Promise<Scene> {
  const rgb = await sharp(await encodeJpeg(scene, random))
    .raw()
    .toBuffer();
  return { ...scene, rgb: new Uint8Array(rgb.buffer, rgb.byteOffset, rgb.length) };
}
