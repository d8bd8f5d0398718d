import { parseArgs } from 'node:util';
import { soloWorld } from '../distributed/world.ts';
import { openImages } from '../propose/imageWalk.ts';
import { writeShards } from '../shards/writeShards.ts';
import { formatDuration } from '../training/progress.ts';
import { UsageError } from '../usageError.ts';
import { outputOptions } from './commonOptions.ts';
import { wholeNumber } from './optionValues.ts';
import { stoppable } from './stoppable.ts';

const help = `usage: clipself shard --images DIR|coco.json --out DIR [--size-limit 1GB] [--seed 0] [--json]

Packs images into tar shards 0000.tar, 0001.tar, …, which clipself train reads as --images 'DIR/{0000..0117}.tar' and
which WebDataset reads as well: few large files in place of many small ones, for network file systems. Images are
copied byte for byte, in an order shuffled with the seed; the same images give the same shards.

  --size-limit S  bytes of a shard at most, such as 500MB, 1GB or 1GiB
  --out DIR       folder of the shards; it must not exist yet, or be empty`;

/** `clipself shard`. */
export async function shardCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      images: { type: 'string' },
      out: { type: 'string' },
      'size-limit': { type: 'string', default: '1GB' },
      seed: { type: 'string', default: '0' },
      ...outputOptions,
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const { images, out, json } = values;
  if (images === undefined || out === undefined)
    throw new UsageError('shard needs --images and --out (clipself shard --help)');
  const sizeLimit = readSize(values['size-limit']);
  const seed = wholeNumber('--seed', values.seed, 0, 2 ** 31 - 1);
  const written = await stoppable(soloWorld, async (log, stop) => {
    const { root, files, members } = await openImages(images, log);
    if (members)
      throw new UsageError(`${images} are shards already: shard takes a folder or COCO-style JSON`);
    const started = performance.now();
    return writeShards(
      { root, files, out, sizeLimit, seed },
      {
        progress: done => {
          const seconds = (performance.now() - started) / 1000;
          const left = done === 0 ? '' : `  ${formatDuration((seconds / done) * (files.length - done))} left`;
          log.progress(`image ${done + 1}/${files.length}${left}`);
        },
        warn: message => log.warn(message),
        stopped: () => stop.requested,
      },
    );
  });
  if (json) console.log(JSON.stringify({ out, ...(written ?? { stopped: true }) }));
  else if (written === null) console.log('stopped; nothing was written');
  else console.log(`${written.images} images in ${written.shards} shards, ${written.bytes} bytes: ${out}`);
}

const units: Readonly<Record<string, number>> = {
  '': 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

function readSize(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([A-Z]*)$/.exec(text.trim().toUpperCase()) ?? [];
  const bytes = Math.floor(Number(number) * (units[unit] ?? Number.NaN));
  if (number !== '' && bytes >= 1024 && bytes <= 2 ** 50) return bytes;
  throw new UsageError(`--size-limit takes bytes such as 500MB, 1GB or 1GiB; got '${text}'`);
}
