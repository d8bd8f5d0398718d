/** `clipself features` of many images, shared among ranks. */
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { makeDirectories } from '../checkpoints/atomicFile.ts';
import { naming } from '../checkpoints/fileError.ts';
import { hashFile } from '../checkpoints/modelFiles.ts';
import { modelPath } from '../checkpoints/modelsFolder.ts';
import { writeSafetensors } from '../checkpoints/safetensors.ts';
import { type LoadedTower, loadTower } from '../dense/loadTower.ts';
import { atOwnPace, shareOfPlaces } from '../distributed/ownPace.ts';
import { threadsOfRank } from '../distributed/rankThreads.ts';
import { agreeing, gatherValues, leads, shareValue, type World } from '../distributed/world.ts';
import { openEngine } from '../engineChoice/openEngine.ts';
import { decodeImageBytes } from '../images/decode.ts';
import { unfittableReason } from '../images/geometry.ts';
import { ImageError } from '../images/imageError.ts';
import { readImage } from '../images/imageReader.ts';
import type { Raster } from '../images/raster.ts';
import { resolveReference } from '../inspect/modelReference.ts';
import type { DenseReadOut } from '../models/visionStages.ts';
import type { RunLog } from '../runs/runLog.ts';
import type { StopSwitch } from '../server.ts';
import { type ImageSource, openImageSource } from '../shards/imageSource.ts';
import { formatDuration, StepClock } from '../training/progress.ts';
import { featureFileNames, featureTensors, isFile, prepareFeatureFolder } from './featureFiles.ts';
import type { ImageOptions } from './imageOptions.ts';
import { checkedSize, denseOptions } from './imageSubject.ts';
import { stoppable } from './stoppable.ts';

type Options = ImageOptions<DenseReadOut>;

/** Of several ranks the leading one speaks to the user. */
export async function featuresOfImages(world: World, options: Options): Promise<void> {
  const outcome = await stoppable(world, (log, stop) => extract(world, options, log, stop));
  if (!leads(world)) return;
  const { stopped, written, leftOut } = outcome;
  const { out, json } = options;
  const state = stopped ? 'stopped' : 'finished';
  if (json) console.log(JSON.stringify({ state, out, images: written, leftOut: leftOut.length }));
  else if (stopped) console.log(`stopped; the same command goes on: ${out}`);
  else console.log(`features of ${written} images, ${leftOut.length} left out: ${out}`);
}

interface Outcome {
  stopped: boolean;
  /** Images whose features are there, from earlier calls too. */
  written: number;
  /** Messages about images that cannot be used. */
  leftOut: string[];
}

async function extract(world: World, options: Options, log: RunLog, stop: StopSwitch): Promise<Outcome> {
  const { model, source, names, size } = await agreeing(world, () => plan(options, log));
  const { readOut, layer, out } = options;
  const settings = { model: model.hash, size, readOut, layer };
  await agreeing(world, async () => {
    if (leads(world)) await prepareFeatureFolder(out, settings);
  });
  const due = await shareValue(world, leads(world) ? await missingFiles(out, names) : []);
  const past = names.length - due.length;
  // Ranks must all have the same engine, and share the cores of their machine.
  const engineName = options.engine === 'auto' && world.size > 1 ? 'cpu' : options.engine;
  const threads = options.threads || (await threadsOfRank(world));
  const { architecture } = model.files;
  const engine = await openEngine({ name: engineName, threads, architecture }, line => log.info(line));
  try {
    const tower = await loadTower(model.files, engine, await model.upload(engine));
    try {
      const share = shareOfPlaces(world, due);
      const clock = new StepClock(share.length);
      const leftOut: string[] = [];
      const { stopped } = await atOwnPace(
        world,
        () => stop.requested,
        async pace => {
          for (const [place, image] of share.entries()) {
            // Signals are heard here.
            await setImmediate();
            if (pace.stopped()) break;
            const started = performance.now();
            const problem = await featuresOf(tower, source, image, options, {
              size,
              file: path.join(out, names[image]!),
            });
            if (problem !== null) {
              leftOut.push(problem);
              log.warn(`left out ${problem}`);
            }
            clock.add((performance.now() - started) / 1000);
            pace.done(place + 1);
            const left = formatDuration(clock.remainingSeconds(place + 1));
            log.progress(`image ${past + pace.total()}/${names.length}  ${left} left`);
          }
        },
      );
      const all = (await gatherValues(world, leftOut)).flat();
      const written = stopped ? 0 : names.length - all.length;
      return { stopped, written, leftOut: all };
    } finally {
      await tower.dispose();
    }
  } finally {
    await engine.dispose();
  }
}

async function plan({ model: given, arch, step, image, size: asked, layer }: Options, log: RunLog) {
  const reference = { path: await modelPath(given), arch, step, blend: null };
  const model = await resolveReference(reference, { of: hashFile });
  for (const warning of model.files.warnings) log.warn(warning);
  const size = checkedSize(asked, layer, model.files.architecture);
  const source = await openImageSource(image);
  for (const damage of source.damage) log.warn(`left out ${damage}`);
  return { model, source, names: featureFileNames(source, image), size };
}

async function missingFiles(folder: string, names: readonly string[]): Promise<number[]> {
  const missing: number[] = [];
  for (const [image, name] of names.entries())
    if (!(await isFile(path.join(folder, name)))) missing.push(image);
  return missing;
}

/** @returns what is wrong with the image; null when its features were written. */
async function featuresOf(
  { features, model }: LoadedTower,
  source: ImageSource,
  place: number,
  { readOut, layer }: Options,
  { size, file }: { size: number; file: string },
): Promise<string | null> {
  const name = source.files[place]!;
  let image: Raster;
  try {
    image = await decodeImageBytes(name, await readImage(source, place));
    for (const side of [size, model.architecture.imageSize]) {
      const reason = unfittableReason(image.width, image.height, side);
      if (reason !== null) throw new ImageError(name, reason);
    }
  } catch (error) {
    if (error instanceof ImageError) return error.message;
    throw error;
  }
  const tensors = await featureTensors(features, image, size, denseOptions(readOut, layer));
  await naming(file, 'write', () => makeDirectories(path.dirname(path.resolve(file))));
  await writeSafetensors(file, tensors);
  return null;
}
