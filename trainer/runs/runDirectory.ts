import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectories } from '../checkpoints/atomicFile.ts';
import { FileError, naming } from '../checkpoints/fileError.ts';

/** Absolute paths of what a run directory holds. */
export interface RunFiles {
  readonly directory: string;
  /** Every setting, resolved (`RunConfiguration`). */
  readonly configuration: string;
  /** One JSON record a line (`MetricRecord`). */
  readonly metrics: string;
  /** Folder of `step-NNNNNNNN` folders. */
  readonly checkpoints: string;
  /** The α-blend of student and teacher: what users take away. */
  readonly student: string;
  /** Who trains the run (`TrainerLease`). */
  readonly lease: string;
  readonly log: string;
  /** Of a rank beside the leading one. */
  rankLog(rank: number): string;
  /** Patches of the latest step (`PatchPreview`). */
  readonly preview: string;
}

/** Paths inside a run directory; touches nothing. */
export function runFiles(directory: string): RunFiles {
  const root = path.resolve(directory);
  return {
    directory: root,
    configuration: path.join(root, 'config.json'),
    metrics: path.join(root, 'metrics.jsonl'),
    checkpoints: path.join(root, 'checkpoints'),
    student: path.join(root, 'student.safetensors'),
    lease: path.join(root, 'trainer.json'),
    log: path.join(root, 'log.txt'),
    rankLog: rank => path.join(root, `log-rank-${rank}.txt`),
    preview: path.join(root, 'preview.json'),
  };
}

/** Names that may lie in a run directory before its `config.json` is written. */
const earlyNames = /^(trainer\.json|log\.txt|log-rank-\d+\.txt|checkpoints|metrics\.jsonl)$/;

/**
 * Makes the folder ready for a run: creates it where it is missing and refuses one that holds other things.
 *
 * @returns Whether the folder holds a run already.
 * @throws FileError when it cannot be created or written, or holds files that are not of a run.
 */
export async function prepareRunDirectory(directory: string): Promise<'new' | 'existing'> {
  const files = runFiles(directory);
  return naming(files.directory, 'write', async () => {
    await makeDirectories(files.directory);
    const names = await readdir(files.directory);
    const existing = names.includes('config.json');
    const foreign = names.filter(name => !earlyNames.test(name) && !name.startsWith('.'));
    if (!existing && foreign.length > 0) {
      const some = foreign.slice(0, 3).join(', ');
      throw new FileError(
        files.directory,
        `it holds no run but other files (${some})`,
        'Choose a new or empty folder',
      );
    }
    await makeDirectories(files.checkpoints);
    return existing ? 'existing' : 'new';
  });
}

/**
 * Temporary names (`temporaryName`) of the files that only the holder of a run's lease writes, and claims to leases before
 * the holder's (`leaseClaim.ts`): whoever makes one of these late withdraws, with it or without.
 */
const leftoverPattern =
  /^\.(?:(?:config\.json|student\.safetensors|preview\.json|open_clip_model\.safetensors|open_clip_config\.json|tokenizer\.json|ATTRIBUTION\.md)\.tmp-\d+-[0-9a-f]+|trainer\.json\.takeover-[0-9a-f]{24})$/;

/**
 * Removes files that a killed trainer left half written. Only the trainer that holds the run may call it.
 *
 * @throws FileError
 */
export async function removeLeftovers({ directory }: RunFiles): Promise<void> {
  await naming(directory, 'write', async () => {
    for (const name of await readdir(directory))
      if (leftoverPattern.test(name)) await rm(path.join(directory, name), { force: true });
  });
}
