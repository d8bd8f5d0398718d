import { stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { dataFolder } from '../dataFolder.ts';
import { FileError } from './fileError.ts';
import { publishedModels } from './publishedModels.ts';

/** Where published models are kept when nothing else is said: the user's data folder, as each system has it. */
export const defaultModelsFolder = (
  environment: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
  home: string = os.homedir(),
): string => dataFolder('models', environment, platform, home);

/**
 * What `--model` means: a path, or the name of a published model that was downloaded. A path that exists comes first.
 *
 * @throws FileError when it is the name of a published model that was not downloaded.
 */
export async function modelPath(model: string, folder: string = defaultModelsFolder()): Promise<string> {
  if (!publishedModels.some(({ name }) => name === model) || (await exists(model))) return model;
  const kept = path.join(folder, model);
  if (await exists(kept)) return kept;
  throw new FileError(
    model,
    `no such file, and the published model of that name is not in ${folder}`,
    `Run 'clipself download ${model}'`,
  );
}

const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );
