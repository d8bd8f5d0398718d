/** A workspace with runs that the trainer really made, evaluated on regions, of a tiny random model. */

import { join } from 'node:path';
import { panopticFiles, writeTinyWords } from './evaluationFixture.ts';
import { type SampleWorkspace, sampleWorkspace } from './sampleWorkspace.ts';
import {
  buildTrainer,
  runTrainer,
  startTrainer,
  type TrainerProcess,
  tinyCommand,
  writeTinyModel,
} from './trainingFixture.ts';

export interface ComparedWorkspace extends SampleWorkspace {
  /** Run directories: two that are finished. */
  patches: string;
  fast: string;
  /** Starts a run that goes on for a while. */
  startLong(): { directory: string; trainer: TrainerProcess };
}

export async function comparedWorkspace(): Promise<ComparedWorkspace> {
  await buildTrainer();
  const workspace = await sampleWorkspace(8);
  const at = (name: string): string => join(workspace.path, name);
  await writeTinyModel(at('model'));
  await writeTinyWords(at('words.npy'));
  const evaluation = [
    '--evaluate-panoptic',
    panopticFiles.annotations,
    '--evaluate-images',
    panopticFiles.images,
  ];
  evaluation.push('--evaluate-masks', panopticFiles.masks, '--evaluate-embeddings', at('words.npy'));
  const command = (run: string, ...settings: string[]): string[] => [
    ...tinyCommand(at('model'), workspace.images, at(`runs/${run}`)),
    ...['--hold-out', '2', ...evaluation, ...settings],
  ];
  const train = async (...settings: [string, ...string[]]): Promise<string> => {
    const { status, stderr } = await runTrainer(command(...settings));
    if (status !== 0) throw new Error(stderr);
    return at(`runs/${settings[0]}`);
  };
  const patches = await train('patches', '--epochs', '6', '--lr', '3e-3');
  const fast = await train('fast_lr', '--epochs', '6', '--lr', '1e-2', '--retention', '0.5');
  return {
    ...workspace,
    patches,
    fast,
    startLong: () => ({
      directory: at('runs/long'),
      trainer: startTrainer(command('long', '--epochs', '400', '--lr', '1e-3')),
    }),
  };
}
