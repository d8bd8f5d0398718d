import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { hashFile } from '../checkpoints/modelFiles.ts';
import { modelPath } from '../checkpoints/modelsFolder.ts';
import { type LoadedTower, loadTower } from '../dense/loadTower.ts';
import { chosenProposals, type ProposalBox, type ProposedRegion } from '../distill/proposals.ts';
import { soloWorld } from '../distributed/world.ts';
import { openEngine } from '../engineChoice/openEngine.ts';
import { findWords } from '../evaluate/words.ts';
import type { DecodedImage } from '../images/decode.ts';
import { degenerateCropReason } from '../images/geometry.ts';
import { type RegionStore, regionsOf } from '../images/regionStore.ts';
import { resolveReference } from '../inspect/modelReference.ts';
import type { WrittenImage } from '../propose/cocoWriter.ts';
import { openImages, walkImages } from '../propose/imageWalk.ts';
import { proposeBoxes } from '../propose/proposeBoxes.ts';
import { pseudoLabels } from '../propose/pseudoLabels.ts';
import { imagesSetting, reportStopped, writeResumably } from '../propose/resumableAnnotations.ts';
import type { RunLog } from '../runs/runLog.ts';
import type { StopSwitch } from '../server.ts';
import type { ImageSource } from '../shards/imageSource.ts';
import type { ClassEmbeddings } from '../text/classEmbeddings.ts';
import { type ListedClass, readClassList } from '../text/classList.ts';
import { readCocoRegions } from '../training/regionFiles.ts';
import { readTemperature } from '../training/regionPlan.ts';
import { UsageError } from '../usageError.ts';
import { engineOptions, outputOptions } from './commonOptions.ts';
import { realNumber, threadNumber, wholeNumber } from './optionValues.ts';
import { stoppable } from './stoppable.ts';

const help = `usage: clipself pseudo-label --model M --images DIR|coco.json|SHARDS --classes FILE --out labels.json
                             [--embeddings F.npy | --prompts FILE] [--boxes proposals.json] [--count 20]
                             [--least 0] [--arch A] [--engine E] [--threads N] [--json]

Names regions by what the model makes of their crops, and writes region–noun pairs as COCO-style JSON for
clipself train --method regionclip. Nobody annotates: regions come from a file or from selective search on colour.
Interrupted, it goes on where it was when it is called again.

  --classes F      nouns: COCO-style annotations (their categories), a JSON array or a text file with a name a line
  --embeddings F   class embeddings [classes, D] in the order of the classes; the model's own words without it
  --prompts F      prompts for the model's own words; the built-in ones without it
  --boxes F        COCO-style proposals; those of clipself propose without it
  --count N        regions of an image, the first of its proposals
  --least P        leave out names of a lower probability (softmax over the nouns, 0 … 1)`;

type Values = ReturnType<typeof parse>;

const parse = (args: string[]) =>
  parseArgs({
    args,
    options: {
      model: { type: 'string' },
      arch: { type: 'string' },
      images: { type: 'string' },
      classes: { type: 'string' },
      embeddings: { type: 'string' },
      prompts: { type: 'string' },
      boxes: { type: 'string' },
      count: { type: 'string', default: '20' },
      least: { type: 'string', default: '0' },
      out: { type: 'string' },
      ...engineOptions,
      ...outputOptions,
    },
  }).values;

/** `clipself pseudo-label`. */
export async function pseudoLabelCommand(args: string[]): Promise<void> {
  const values = parse(args);
  if (values.help) {
    console.log(help);
    return;
  }
  await stoppable(soloWorld, (log, stop) => label(values, log, stop));
}

async function label(values: Values, log: RunLog, stop: StopSwitch): Promise<void> {
  const { model: given, images: folder, classes: list, out, embeddings, prompts } = values;
  if (given === undefined || folder === undefined || list === undefined || out === undefined)
    throw new UsageError(
      'pseudo-label needs --model, --images, --classes and --out (clipself pseudo-label --help)',
    );
  if (embeddings !== undefined && prompts !== undefined)
    throw new UsageError('--embeddings and --prompts exclude each other');
  const count = wholeNumber('--count', values.count, 1, 1000);
  const least = realNumber('--least', values.least, 0, 1);
  const threads = threadNumber(values.threads);
  const path = await modelPath(given);
  const reference = { path, arch: values.arch ?? null, step: null, blend: null };
  const model = await resolveReference(reference, { of: hashFile });
  for (const warning of model.files.warnings) log.warn(warning);
  const classes = await readClassList(list);
  const choice = { embeddings: embeddings ?? null, prompts: prompts ?? null };
  const reading = { files: model.files, hash: model.hash, source: model.source?.path ?? null };
  const found = await findWords(choice, classes, reading);
  const temperature = await readTemperature(model.files.weightsFile);
  const images = await openImages(folder, log);
  const proposals = values.boxes === undefined ? null : await readProposals(values.boxes, images);
  const { architecture } = model.files;
  const engine = await openEngine({ name: values.engine, threads, architecture }, line => log.info(line));
  try {
    const words = await found.load(engine);
    const tower = await loadTower(model.files, engine, await model.upload(engine), images.files.length);
    try {
      const settings = { classes, words, temperature, proposals, count, least };
      const outcome = await writeResumably({
        out,
        description: `Regions named by ${model.files.weightsFile}`,
        categories: classes.map(({ id, name }) => ({ id, name })),
        settings: {
          ...{ command: 'pseudo-label', model: model.hash, images: imagesSetting(images), count, least },
          classes: hashOf(JSON.stringify(classes)),
          words: hashOf(new Uint8Array(words.data.buffer, words.data.byteOffset, words.data.byteLength)),
          boxes: values.boxes === undefined ? null : await hashFile(values.boxes),
        },
        images: done => labelledImages(images, tower, settings, log, stop, done),
      });
      log.endProgress();
      if (outcome.state === 'stopped') reportStopped(out, outcome.done, images.files.length, values.json);
      else if (values.json) console.log(JSON.stringify({ out, ...outcome }));
      else console.log(`${outcome.regions} named regions of ${outcome.images} images: ${out}`);
    } finally {
      await tower.dispose();
    }
  } finally {
    await engine.dispose();
  }
}

const hashOf = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');

async function readProposals(file: string, { root, paths }: ImageSource): Promise<RegionStore> {
  const request = { file, imageRoot: root, images: paths, labelled: false };
  return (await readCocoRegions(request)).store;
}

interface LabelSettings {
  classes: readonly ListedClass[];
  words: ClassEmbeddings;
  temperature: number;
  /** By position of the image; null: selective search. */
  proposals: RegionStore | null;
  count: number;
  least: number;
}

/** What the teacher sees of a region shows some of what is around it, as in training on proposals. */
const context = 1.5;

async function* labelledImages(
  images: ImageSource,
  tower: LoadedTower,
  { classes, words, temperature, proposals, count, least }: LabelSettings,
  log: RunLog,
  stop: StopSwitch,
  done: ReadonlySet<string>,
): AsyncGenerator<WrittenImage> {
  const { imageSize } = tower.model.architecture;
  for await (const { name, position, image } of walkImages(images, log, stop, done)) {
    const { width, height } = image;
    const boxes = proposals ? regionsOf(proposals, position).boxes : proposeBoxes(image, count);
    const regions = croppable(image, boxes.slice(0, count), imageSize);
    if (regions.length === 0) {
      yield { file: name, width, height, regions: [] };
      continue;
    }
    const crops = await tower.features.crops(
      image,
      regions.map(({ crop }) => crop),
    );
    const named = pseudoLabels(regions, crops, words, temperature).filter(
      ({ probability }) => probability >= least,
    );
    yield {
      file: name,
      width,
      height,
      regions: named.map(({ region, class: noun, probability }) => ({
        box: boxes[region.index]!,
        category: classes[noun]!.id,
        score: Math.round(probability * 1e4) / 1e4,
      })),
    };
  }
}

/** Regions that are neither too small nor too large, and leave something to be cut out. */
const croppable = (image: DecodedImage, boxes: readonly ProposalBox[], imageSize: number): ProposedRegion[] =>
  chosenProposals([...boxes.keys()], boxes, context, image.width, image.height).filter(
    ({ crop }) => degenerateCropReason(crop, imageSize) === null,
  );
