import type { DeviceTensor, Engine } from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import { TextTower } from '../models/textTower.ts';
import { meanDirections } from '../text/ensemble.ts';
import { thingClasses } from '../world/classes.ts';
import type { PretrainModel } from './pretrainModel.ts';

/** Directions of the things in a model in training, `[64, D]` of unit norm: each the mean over all sentences. */
export async function thingDirections(
  engine: Engine,
  { encoder: { text }, words }: PretrainModel,
  parameters: ReadonlyMap<string, DeviceTensor>,
  programs: ProgramCache,
): Promise<Float32Array> {
  const tower = new TextTower(engine, text, parameters, programs);
  const counts = thingClasses.map((_, label) => words.prompts[label]!.length);
  const texts = counts.flatMap((count, label) =>
    Array.from({ length: count }, (_, prompt) => words.tokens(label, prompt)),
  );
  return meanDirections(await tower.embed(texts), counts, text.embeddingDimension);
}
