import { FileError } from '../checkpoints/fileError.ts';
import { modelPath } from '../checkpoints/modelsFolder.ts';
import { type Hashes, type ResolvedModel, resolveReference } from '../inspect/modelReference.ts';

/**
 * Finds the model that another one is compared with. `--arch` says what it is only where it does not tell itself: it may
 * be of another architecture.
 *
 * @param arch What `--arch` says; null without it.
 * @throws FileError when it is missing, damaged or unsupported.
 */
export async function resolveOriginal(
  model: string,
  arch: string | null,
  hashes: Hashes,
): Promise<ResolvedModel> {
  const reference = { path: await modelPath(model), arch: null, step: null, blend: null };
  try {
    return await resolveReference(reference, hashes);
  } catch (error) {
    if (arch === null || !(error instanceof FileError)) throw error;
    return resolveReference({ ...reference, arch }, hashes);
  }
}
