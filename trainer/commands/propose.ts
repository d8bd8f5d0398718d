import { parseArgs } from 'node:util';
import { cornersOf } from '../distill/proposals.ts';
import { soloWorld } from '../distributed/world.ts';
import type { WrittenImage } from '../propose/cocoWriter.ts';
import { openImages, walkImages } from '../propose/imageWalk.ts';
import { proposeBoxes } from '../propose/proposeBoxes.ts';
import { RecallCount } from '../propose/recall.ts';
import { imagesSetting, reportStopped, writeResumably } from '../propose/resumableAnnotations.ts';
import { readTrueBoxes, type TrueBoxes } from '../propose/trueBoxes.ts';
import type { RunLog } from '../runs/runLog.ts';
import type { StopSwitch } from '../server.ts';
import type { ImageSource } from '../shards/imageSource.ts';
import { UsageError } from '../usageError.ts';
import { outputOptions } from './commonOptions.ts';
import { wholeNumber } from './optionValues.ts';
import { stoppable } from './stoppable.ts';

const help = `usage: clipself propose --images DIR|coco.json|SHARDS --out proposals.json [--count 100] [--truth coco.json]
                        [--json]

Proposes regions of images without labels and without a model, by selective search on colour, and writes them as
COCO-style JSON for clipself train --regions proposals. The same images give the same file. Interrupted, it goes on
where it was when it is called again.

  --count N      most regions of an image, the most promising first; 100 without it
  --truth F      COCO annotations, panoptic or instances, of the same images: says how many of their boxes the first
                 10, 50 and 100 regions of an image find (overlap of at least 0.5)`;

/** Numbers of regions at which recall is told. */
const budgets = [10, 50, 100];

/** `clipself propose`. */
export async function proposeCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      images: { type: 'string' },
      out: { type: 'string' },
      count: { type: 'string', default: '100' },
      truth: { type: 'string' },
      ...outputOptions,
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const { images, out, truth, json } = values;
  if (images === undefined || out === undefined)
    throw new UsageError('propose needs --images and --out (clipself propose --help)');
  const count = wholeNumber('--count', values.count, 1, 10_000);
  await stoppable(soloWorld, async (log, stop) => {
    const recall = truth === undefined ? null : new Recall(await readTrueBoxes(truth), count);
    const set = await openImages(images, log);
    const outcome = await writeResumably({
      out,
      description,
      categories: [{ id: 1, name: 'region' }],
      settings: { command: 'propose', images: imagesSetting(set), count },
      images: done => proposals(set, count, log, stop, done),
      onWritten: ({ file, regions }) =>
        recall?.add(
          file,
          regions.map(({ box }) => cornersOf(box)),
        ),
    });
    log.endProgress();
    if (outcome.state === 'stopped') reportStopped(out, outcome.done, set.files.length, json);
    else report(out, outcome, recall, json);
  });
}

const description = 'Regions proposed without labels by CLIPSelf Lab: selective search on colour';

async function* proposals(
  images: ImageSource,
  count: number,
  log: RunLog,
  stop: StopSwitch,
  done: ReadonlySet<string>,
): AsyncGenerator<WrittenImage> {
  for await (const { name, image } of walkImages(images, log, stop, done)) {
    const { width, height } = image;
    const regions = proposeBoxes(image, count).map(box => ({ box, category: 1 }));
    yield { file: name, width, height, regions };
  }
}

/** Recall of objects and of background. */
class Recall {
  readonly #truth: ReadonlyMap<string, TrueBoxes>;
  readonly things: RecallCount;
  readonly stuff: RecallCount;

  constructor(truth: ReadonlyMap<string, TrueBoxes>, count: number) {
    this.#truth = truth;
    const reached = budgets.filter(budget => budget <= count);
    this.things = new RecallCount(reached);
    this.stuff = new RecallCount(reached);
  }

  add(name: string, boxes: readonly [number, number, number, number][]): void {
    const own = this.#truth.get(name.replaceAll('\\', '/'));
    if (!own) return;
    this.things.add(boxes, own.things);
    this.stuff.add(boxes, own.stuff);
  }
}

function report(
  out: string,
  { images, regions }: { images: number; regions: number },
  recall: Recall | null,
  json: boolean,
): void {
  const kinds = recall ? (['things', 'stuff'] as const).filter(kind => recall[kind].truth > 0) : [];
  if (json) {
    const found = kinds.map(kind => [kind, { truth: recall![kind].truth, recall: recall![kind].shares() }]);
    console.log(JSON.stringify({ out, images, regions, ...Object.fromEntries(found) }));
    return;
  }
  console.log(`${regions} regions of ${images} images: ${out}`);
  for (const kind of kinds) {
    const shares = recall![kind]
      .shares()
      .map(({ boxes, recall: share }) => `${(100 * share).toFixed(1)} % by ${boxes}`);
    console.log(`${kind}: of ${recall![kind].truth} boxes ${shares.join(', ')} regions an image`);
  }
  if (recall && kinds.length === 0) console.log('none of the images is in the truth');
}
