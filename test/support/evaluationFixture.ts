/** Panoptic data of the published evaluation with words for the tiny model. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { writeNpy } from '../../trainer/checkpoints/npyFile.ts';
import type { EvaluatedRegion } from '../../trainer/evaluate/protocol.ts';
import { regionsFileOf } from '../../trainer/evaluate/protocol.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { fixturePath } from './goldenTensors.ts';
import { tinyArchitecture } from './trainingFixture.ts';

export const panopticFiles = {
  annotations: fixturePath('datasets/panoptic.json'),
  images: fixturePath('datasets/pan_img'),
  masks: fixturePath('datasets/pan_seg'),
} as const;

/** Random embeddings of the seven classes. */
export async function writeTinyWords(file: string): Promise<void> {
  const random = keyedRandom(5, 'words');
  const shape = [7, tinyArchitecture.embeddingDimension];
  const data = Float32Array.from({ length: shape[0]! * shape[1]! }, () => random.float() - 0.5);
  await mkdir(path.dirname(file), { recursive: true });
  await writeNpy(file, { shape, data });
}

/** The regions that belong to a report. */
export async function readRegions(report: string): Promise<EvaluatedRegion[]> {
  const text = await readFile(regionsFileOf(report), 'utf8');
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as EvaluatedRegion);
}

/** The panoptic annotations, changed and written to a file. */
export async function writePanoptic(
  file: string,
  change: (content: { annotations: { segments_info: { category_id: number }[] }[] }) => void,
): Promise<void> {
  const content = JSON.parse(await readFile(panopticFiles.annotations, 'utf8'));
  change(content);
  await writeFile(file, JSON.stringify(content));
}
