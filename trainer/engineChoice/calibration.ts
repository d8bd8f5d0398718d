import { disposeAll, type Engine, type Feeds } from '../engines/engine.ts';
import { sizeOf } from '../graph/shape.ts';
import { gradientName, inputsOf, splitForBackward, upstreamName } from '../graph/split.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import type { ImageBatch } from '../models/visionStage.ts';
import { trunkStages } from '../models/visionStages.ts';
import { keyedRandom } from '../random.ts';

/** Images of a calibrated step, at the model's own size. */
const images = 2;

/** After one run that pays for compiling kernels and for fresh memory. */
const runs = 3;

/**
 * The calibrated step: forward and backward pass of one transformer block of this model, on random numbers. Blocks are
 * nearly all that a step of CLIPSelf does.
 *
 * @returns Seconds of the fastest run of three.
 * @throws when the engine fails at it.
 */
export async function calibrate(engine: Engine, architecture: VisionArchitecture): Promise<number> {
  const stage = trunkStages(architecture, batchOf(architecture), 1)[1]!;
  const wanted = inputsOf([stage.output]).map(input => input.name!);
  const split = splitForBackward({ output: stage.output }, wanted, 'keep');
  const forward = await engine.compile(split.forward);
  const backward = await engine.compile(split.backward);
  const random = keyedRandom(0);
  const uploadNoise = (shape: readonly number[]) =>
    engine.upload(
      shape,
      Float32Array.from({ length: sizeOf(shape) }, () => 0.1 * (random.float() - 0.5)),
    );
  const inputs: Feeds = Object.fromEntries(
    Object.entries(forward.inputs).map(([name, { shape }]) => [name, uploadNoise(shape)]),
  );
  const upstream = uploadNoise(stage.output.shape);
  const [smallest] = wanted
    .map(gradientName)
    .filter(name => name in backward.outputs)
    .sort((a, b) => sizeOf(backward.outputs[a]!.shape) - sizeOf(backward.outputs[b]!.shape));
  try {
    let fastest = Number.POSITIVE_INFINITY;
    for (let run = 0; run <= runs; run++) {
      const start = performance.now();
      const saved = await forward.run(inputs);
      const gradients = await backward.run(
        pick({ ...inputs, ...saved, [upstreamName('output')]: upstream }, Object.keys(backward.inputs)),
      );
      // A GPU has only been told so far; a result that has arrived on the host has been computed.
      await engine.read(gradients[smallest!]!);
      if (run > 0) fastest = Math.min(fastest, (performance.now() - start) / 1000);
      disposeAll(saved);
      disposeAll(gradients);
    }
    return fastest;
  } finally {
    disposeAll(inputs);
    upstream.dispose();
    await forward.dispose();
    await backward.dispose();
  }
}

function batchOf({ imageSize, patchSize }: VisionArchitecture): ImageBatch {
  const side = Math.floor(imageSize / patchSize);
  return { batch: images, height: imageSize, width: imageSize, rows: side, columns: side };
}

const pick = (feeds: Feeds, names: readonly string[]): Feeds =>
  Object.fromEntries(names.map(name => [name, feeds[name]!]));
