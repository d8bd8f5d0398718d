import { parseArgs } from 'node:util';
import { cornersOf } from '../distill/proposals.ts';
import { soloWorld } from '../distributed/world.ts';
import { openImages } from '../propose/imageWalk.ts';
import { proposals } from '../propose/proposals.ts';
import { RecallCount } from '../propose/recall.ts';
import { imagesSetting, reportStopped, writeResumably } from '../propose/resumableAnnotations.ts';
import { readTrueBoxes, type TrueBoxes } from '../propose/trueBoxes.ts';
import { UsageError } from '../usageError.ts';
import { engineOptions, outputOptions } from './commonOptions.ts';
import { threadNumber, wholeNumber } from './optionValues.ts';
import { stoppable } from './stoppable.ts';

const help = `usage: clipself propose --images DIR|coco.json|SHARDS --out proposals.json [--count 100] [--truth coco.json]
                        [--threads N] [--json]

Proposes regions of images without labels and without a model, by selective search on colour, and writes them as
COCO-style JSON for clipself train --regions proposals. The same images give the same file. Interrupted, it goes on
where it was when it is called again.

  --count N      most regions of an image, the most promising first; 100 without it
  --threads N    images that are looked at side by side; without it one a core, at most 16. The file does not depend on it
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
      threads: engineOptions.threads,
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
  const threads = threadNumber(values.threads);
  await stoppable(soloWorld, async (log, stop) => {
    const recall = truth === undefined ? null : new Recall(await readTrueBoxes(truth), count);
    const set = await openImages(images, log);
    const outcome = await writeResumably({
      out,
      description,
      categories: [{ id: 1, name: 'region' }],
      settings: { command: 'propose', images: imagesSetting(set), count },
      images: done => proposals(set, { count, threads }, log, stop, done),
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
