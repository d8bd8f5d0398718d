import type { Dirent } from 'node:fs';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectories, syncDirectory, syncFile, writeFully } from '../checkpoints/atomicFile.ts';
import { FileError, naming, systemErrorCode } from '../checkpoints/fileError.ts';
import { isJsonObject, readJson } from '../checkpoints/jsonFile.ts';

/** A complete checkpoint. */
export interface Checkpoint {
  /** Completed steps. */
  readonly step: number;
  /** Absolute path of its folder. */
  readonly directory: string;
}

/** Lists the files of a checkpoint with their sizes; written last, so its presence says that they are complete. */
const manifestName = 'state.json';
const checkpointPattern = /^step-(\d{8,15})$/;
/** `.step-NNNNNNNN.tmp-PID` is being written, `.old-PID` being replaced, `.gone-PID` being removed. */
const leftoverPattern = /^\.(step-\d{8,15})\.(tmp|old|gone)-\d+$/;

function checkpointName(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

async function sizesIn(directory: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (!entry.isFile())
      throw new FileError(path.join(directory, entry.name), 'it is not a plain file', 'Remove it');
    sizes.set(entry.name, (await stat(path.join(directory, entry.name))).size);
  }
  return sizes;
}

async function writeManifest(
  directory: string,
  step: number,
  sizes: ReadonlyMap<string, number>,
): Promise<void> {
  const files = [...sizes].map(([name, size]) => ({ name, size }));
  const handle = await open(path.join(directory, manifestName), 'wx');
  try {
    await writeFully(handle, Buffer.from(`${JSON.stringify({ schema: 1, step, files }, null, 2)}\n`));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Why a folder is not a complete checkpoint of `step`; null when it is one. */
async function incompleteness(directory: string, step: number): Promise<string | null> {
  try {
    const manifest = await readJson(path.join(directory, manifestName));
    if (
      !isJsonObject(manifest) ||
      manifest.schema !== 1 ||
      manifest.step !== step ||
      !Array.isArray(manifest.files)
    ) {
      return `${manifestName} does not describe step ${step}`;
    }
    const sizes = await sizesIn(directory);
    for (const file of manifest.files as unknown[]) {
      if (!isJsonObject(file) || typeof file.name !== 'string') return `${manifestName} is malformed`;
      const size = sizes.get(file.name);
      if (size !== file.size) return `${file.name} has ${size ?? 'no'} bytes instead of ${String(file.size)}`;
    }
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * The checkpoints of a run. A checkpoint appears under its name only when every byte of it is on the disk; whatever
 * fails before leaves the earlier ones as they were. Completeness is judged by the names and sizes of its files.
 */
export class CheckpointStore {
  readonly #directory: string;
  readonly #keep: number;
  readonly #warn: (message: string) => void;

  /**
   * @param directory The run's `checkpoints` folder.
   * @param keep How many of the latest checkpoints stay; at least 1.
   * @param warn Told about checkpoints that are passed over.
   */
  constructor(directory: string, keep: number, warn: (message: string) => void) {
    if (!Number.isInteger(keep) || keep < 1)
      throw new RangeError(`at least 1 checkpoint must be kept, not ${keep}`);
    this.#directory = directory;
    this.#keep = keep;
    this.#warn = warn;
  }

  /** Folders named like checkpoints, latest first, complete or not. */
  async #named(): Promise<Checkpoint[]> {
    const found: Checkpoint[] = [];
    for (const entry of await this.#entries()) {
      const digits = checkpointPattern.exec(entry.name)?.[1];
      if (digits === undefined || !entry.isDirectory()) continue;
      found.push({ step: Number(digits), directory: path.join(this.#directory, entry.name) });
    }
    return found.sort((a, b) => b.step - a.step);
  }

  /** What the folder holds; nothing while there is no folder. */
  async #entries(): Promise<Dirent[]> {
    try {
      return await readdir(this.#directory, { withFileTypes: true });
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /**
   * The complete checkpoints, latest first. Damaged ones are passed over with a warning.
   *
   * @throws FileError when the folder cannot be read.
   */
  async list(): Promise<Checkpoint[]> {
    return naming(this.#directory, 'read', async () => {
      const complete: Checkpoint[] = [];
      for (const checkpoint of await this.#named()) {
        const reason = await incompleteness(checkpoint.directory, checkpoint.step);
        if (reason === null) complete.push(checkpoint);
        else this.#warn(`The checkpoint ${checkpoint.directory} is damaged and passed over: ${reason}`);
      }
      return complete;
    });
  }

  /**
   * The complete checkpoint of a step.
   *
   * @throws FileError when it is not there, or damaged.
   */
  async at(step: number): Promise<Checkpoint> {
    const directory = path.join(this.#directory, checkpointName(step));
    const reason = await incompleteness(directory, step);
    if (reason === null) return { step, directory };
    throw new FileError(directory, reason, 'Every machine of a run needs to see its folder');
  }

  /** The latest complete checkpoint; null when there is none. */
  async latest(): Promise<Checkpoint | null> {
    return (await this.list())[0] ?? null;
  }

  /**
   * Removes what a killed trainer left half done. Only the trainer that holds the run may call it.
   *
   * @throws FileError
   */
  async cleanUp(): Promise<void> {
    await naming(this.#directory, 'write', async () => {
      for (const entry of await this.#entries()) {
        const match = leftoverPattern.exec(entry.name);
        if (match === null) continue;
        const leftover = path.join(this.#directory, entry.name);
        const replaced = path.join(this.#directory, match[1]!);
        // Killed between moving the old one aside and moving the new one in: the old one is still good.
        if (match[2] === 'old' && !(await exists(replaced))) await rename(leftover, replaced);
        else await rm(leftover, { recursive: true, force: true });
      }
    });
  }

  /**
   * Saves a checkpoint and then, unless `prune` is false, removes the ones beyond the latest `keep`.
   *
   * @param step Completed steps.
   * @param write Writes the files, flat, into the folder that it is given. The name `state.json` is taken.
   * @throws FileError when the disk is full and the like, and whatever `write` throws; earlier checkpoints stay.
   */
  async save(
    step: number,
    write: (directory: string) => Promise<void>,
    { prune = true }: { prune?: boolean } = {},
  ): Promise<Checkpoint> {
    if (!Number.isSafeInteger(step) || step < 0) throw new RangeError(`${step} is not a number of steps`);
    const name = checkpointName(step);
    const temporary = path.join(this.#directory, `.${name}.tmp-${process.pid}`);
    const target = path.join(this.#directory, name);
    await naming(target, 'write', async () => {
      try {
        await rm(temporary, { recursive: true, force: true });
        await makeDirectories(temporary);
        await write(temporary);
        const sizes = await sizesIn(temporary);
        for (const file of sizes.keys()) await syncFile(path.join(temporary, file));
        await writeManifest(temporary, step, sizes);
        await syncDirectory(temporary);
        await this.#moveIn(temporary, target);
      } catch (error) {
        // The reason matters, not that the leftover could not be removed either: cleanUp does that later.
        await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
        throw error;
      }
    });
    if (prune) await this.#prune(step);
    return { step, directory: target };
  }

  /** Renames a finished folder to its name; a folder cannot replace another, so one that is there moves aside. */
  async #moveIn(temporary: string, target: string): Promise<void> {
    const aside = path.join(this.#directory, `.${path.basename(target)}.old-${process.pid}`);
    const replaces = await exists(target);
    if (replaces) await rename(target, aside);
    await rename(temporary, target);
    await syncDirectory(this.#directory);
    if (replaces) await rm(aside, { recursive: true, force: true });
  }

  /** A failure to remove old ones is not a failure to save: it is told and tried again next time. */
  async #prune(saved: number): Promise<void> {
    try {
      let kept = 0;
      for (const { step, directory } of await this.#named()) {
        const complete = step === saved || (await incompleteness(directory, step)) === null;
        if (complete && kept++ < this.#keep) continue;
        const gone = path.join(this.#directory, `.${path.basename(directory)}.gone-${process.pid}`);
        await rename(directory, gone);
        await rm(gone, { recursive: true, force: true });
      }
    } catch (error) {
      this.#warn(
        `Old checkpoints could not be removed: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false;
    throw error;
  }
}
