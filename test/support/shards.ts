import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { keyedRandom } from '../../trainer/random.ts';
import { formatHeader, paddedSize } from '../../trainer/shards/tarHeaders.ts';

/** A member with its header and padding. */
export function tarMember(name: string, content: Buffer): Buffer {
  const padding = Buffer.alloc(paddedSize(content.length) - content.length);
  return Buffer.concat([formatHeader(name, content.length), content, padding]);
}

export const tarEnd = Buffer.alloc(1024);

export const tarOf = (...members: Buffer[]): Buffer => Buffer.concat([...members, tarEnd]);

/** A small PNG, another for each number. */
export async function pngBytes(number: number): Promise<Buffer> {
  const random = keyedRandom(9, number);
  const [width, height] = [48 + random.uint(40), 48 + random.uint(40)];
  const pixels = Buffer.from(Array.from({ length: width * height * 3 }, () => random.uint(256)));
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** Writes `count` images to shards of `each` images, every image with a text beside it; the names are `000000.png`, … */
export async function writeTinyShards(folder: string, count: number, each: number): Promise<string[]> {
  const files: string[] = [];
  for (let first = 0; first < count; first += each) {
    const members: Buffer[] = [];
    for (let number = first; number < Math.min(count, first + each); number++) {
      const name = String(number).padStart(6, '0');
      members.push(tarMember(`${name}.png`, await pngBytes(number)));
      members.push(tarMember(`${name}.txt`, Buffer.from(`caption ${number}`)));
    }
    const file = path.join(folder, `${String(files.length).padStart(4, '0')}.tar`);
    await writeFile(file, tarOf(...members));
    files.push(file);
  }
  return files;
}
