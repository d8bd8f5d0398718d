/** A workspace with runs that the trainer really made, of the model that ships on the demo's scenes, evaluated on regions. */

import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { demoFolderAt } from '../../extension/demoFolder.ts';
import { repositoryRoot } from './browserPrerequisites.ts';
import { temporaryFolder } from './temporaryFolder.ts';
import { buildTrainer, runTrainer, startTrainer, type TrainerProcess } from './trainingFixture.ts';

export interface ComparedWorkspace {
  path: string;
  /** Run directories: two that are finished. */
  patches: string;
  fast: string;
  /** Starts a run that goes on for a while. */
  startLong(): { directory: string; trainer: TrainerProcess };
  remove(): Promise<void>;
}

/** Small enough for a test, and enough for names of regions to become better. */
const settings = [
  ...['--size', '96', '--batch', '8', '--warmup', '8', '--unlocked-blocks', '4', '--blend', '1'],
  ...['--hold-out', '8', '--max-split', '3', '--threads', '1'],
];

export async function comparedWorkspace(): Promise<ComparedWorkspace> {
  await buildTrainer();
  const folder = await temporaryFolder();
  const path = folder.file('demo');
  await cp(join(repositoryRoot, 'media/demo/workspace'), path, { recursive: true });
  const { scenes, annotations, images, masks } = demoFolderAt(path);
  const command = (run: string, ...own: string[]): string[] => [
    ...['--model', join(repositoryRoot, 'media/demo/model'), '--images', scenes],
    ...['--evaluate-panoptic', annotations, '--evaluate-images', images, '--evaluate-masks', masks],
    ...['--out', join(path, 'runs', run), ...settings, ...own],
  ];
  const train = async (...own: [string, ...string[]]): Promise<string> => {
    const { status, stderr } = await runTrainer(command(...own));
    if (status !== 0) throw new Error(stderr);
    return join(path, 'runs', own[0]);
  };
  const patches = await train('patches', '--epochs', '6', '--lr', '2e-3');
  const fast = await train('fast_lr', '--epochs', '6', '--lr', '5e-3', '--retention', '0.5');
  return {
    ...{ path, patches, fast, remove: folder.remove },
    startLong: () => ({
      directory: join(path, 'runs/long'),
      trainer: startTrainer(command('long', '--epochs', '400', '--lr', '1e-3')),
    }),
  };
}
