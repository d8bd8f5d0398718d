import { stat } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectories } from '../checkpoints/atomicFile.ts';
import { FileError, naming } from '../checkpoints/fileError.ts';
import { writeJson } from '../checkpoints/jsonFile.ts';
import { knownArchitectures } from '../checkpoints/knownArchitectures.ts';
import { hashFile, resolveModel } from '../checkpoints/modelFiles.ts';
import { clipNormalisation, toOpenClipConfiguration } from '../checkpoints/openClipConfiguration.ts';
import type { PublishedModel } from '../checkpoints/publishedModels.ts';
import { type DownloadOptions, downloadFile } from './downloadFile.ts';
import { type HubFile, type HubOptions, HubRepository } from './hubClient.ts';

/** What would be fetched, to be agreed to. */
export interface DownloadOffer {
  model: PublishedModel;
  repository: HubRepository;
  file: HubFile;
  /** Folder of the model: weights and configuration. */
  directory: string;
  /** The licence as its repository on the hub states it; null when it states none. */
  hubLicence: string | null;
  /** Whether the weights are there already. */
  present: boolean;
  warnings: string[];
}

const halves = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;

/**
 * Asks the hub about a model. Nothing is written.
 *
 * @param folder Where models are kept.
 * @throws HubError, FileError when another file is in the way.
 */
export async function offerModel(
  model: PublishedModel,
  folder: string,
  options: HubOptions = {},
): Promise<DownloadOffer> {
  const repository = new HubRepository(model.repository, options);
  const file = await repository.find(model.files);
  const hubLicence = await repository.licence();
  const directory = path.resolve(folder, model.name);
  const warnings =
    model.sha256 !== undefined && file.path === model.files[0] && file.sha256 !== model.sha256
      ? [`the weights on the hub are not those that this version was written for (SHA-256 ${file.sha256})`]
      : [];
  const present = await isPresent(path.join(directory, file.path), file);
  return { model, repository, file, directory, hubLicence, present, warnings };
}

/**
 * Fetches what was offered, writes the configuration beside it and opens the result.
 *
 * @returns The folder, for `--model`.
 */
export async function downloadModel(
  { model, repository, file, directory, present }: DownloadOffer,
  options: DownloadOptions = {},
): Promise<string> {
  // Local names come from the table: the hub was asked for them and only for them.
  const target = path.join(directory, file.path);
  if (!present) {
    await naming(directory, 'write', () => makeDirectories(directory));
    const architecture = knownArchitectures.get(model.architecture)!;
    const normalisation = model.normalisation === 'clip' ? clipNormalisation : halves;
    const configuration = toOpenClipConfiguration({ architecture, normalisation });
    await writeJson(path.join(directory, 'open_clip_config.json'), configuration);
    await downloadFile(repository, file, target, options);
  }
  await resolveModel(directory);
  return directory;
}

/** Whether the very file is there. Throws FileError when another is. */
async function isPresent(target: string, { bytes, sha256 }: HubFile): Promise<boolean> {
  const status = await stat(target).catch(() => null);
  if (status === null) return false;
  if (status.isFile() && status.size === bytes && (await hashFile(target)) === sha256) return true;
  throw new FileError(target, 'another file of this name is in the way', 'Move it, or choose another --out');
}
