/**
 * Opens a COCO instances file as large as that of COCO's training part: `npm run bench:annotations`. The file is made up
 * in the temporary folder and kept for the next time; `--make` only writes it.
 */
import { once } from 'node:events';
import { createWriteStream, existsSync, renameSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readCocoInstances } from '../../trainer/evaluate/cocoInstances.ts';
import { keyedRandom } from '../../trainer/random.ts';

const [imageCount, objectCount] = [118_287, 860_001];
const file = path.join(tmpdir(), 'clipself-bench-instances.json');

async function makeFile(): Promise<void> {
  const out = createWriteStream(`${file}.part`);
  const random = keyedRandom(1);
  const write = async (text: string): Promise<void> => {
    if (!out.write(text)) await once(out, 'drain');
  };
  const list = async (count: number, entry: (index: number) => unknown): Promise<void> => {
    for (let index = 0; index < count; index++)
      await write((index === 0 ? '' : ',') + JSON.stringify(entry(index)));
  };
  await write('{"images":[');
  await list(imageCount, index => ({
    license: 3,
    file_name: `${String(index).padStart(12, '0')}.jpg`,
    coco_url: `http://images.cocodataset.org/train2017/${String(index).padStart(12, '0')}.jpg`,
    height: 480,
    width: 640,
    date_captured: '2013-11-14 11:18:45',
    id: index + 1,
  }));
  await write('],"annotations":[');
  await list(objectCount, index => ({
    segmentation: [
      Array.from({ length: 2 * (10 + random.uint(36)) }, () => Math.round(random.float() * 48_000) / 100),
    ],
    area: 1234.5678,
    iscrowd: 0,
    image_id: 1 + Math.floor((index / objectCount) * imageCount),
    bbox: [10.5, 20.25, 100.1, 50.9],
    category_id: 1 + (index % 80),
    id: index + 1,
  }));
  await write('],"categories":[');
  await list(80, index => ({ id: index + 1, name: `class ${index}` }));
  out.end(']}');
  await once(out, 'close');
  renameSync(`${file}.part`, file);
}

if (!existsSync(file)) await makeFile();
if (!process.argv.includes('--make')) {
  const before = process.resourceUsage().maxRSS;
  const start = performance.now();
  const { images } = await readCocoInstances(file, false);
  const seconds = (performance.now() - start) / 1000;
  const objects = images.reduce((sum, { regions }) => sum + regions.length, 0);
  const peak = process.resourceUsage().maxRSS / 1024;
  console.log(
    `${Math.round(statSync(file).size / 1e6)} MB, ${images.length} images, ${objects} objects: ` +
      `${seconds.toFixed(1)} s, peak ${Math.round(peak)} MiB resident (${Math.round(before / 1024)} before)`,
  );
}
