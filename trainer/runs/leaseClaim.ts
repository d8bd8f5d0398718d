/**
 * Exclusive ownership of a lease file by file-system operations that are atomic everywhere: creating a name that must
 * not exist yet, and renaming.
 */
import { createHash } from 'node:crypto';
import { constants, copyFile, link, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { temporaryName } from '../checkpoints/atomicFile.ts';
import { systemErrorCode } from '../checkpoints/fileError.ts';
import { type FoundLease, isLeaseLive, readLeaseFile } from './leaseFile.ts';

/** File systems without hard links answer with one of these. */
const withoutLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);
/** Takeovers take milliseconds; a process that finds one under way looks again this often before it gives up. */
const attempts = 50;
const pause = 20;

/** Gives `source` the second name `target` unless that name is taken; returns whether it did. */
async function createExclusively(source: string, target: string): Promise<boolean> {
  try {
    await link(source, target);
    return true;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'EEXIST') return false;
    if (code === undefined || !withoutLinks.has(code)) throw error;
  }
  try {
    await copyFile(source, target, constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function takeoverName(file: string, generation: string): string {
  const digest = createHash('sha256').update(generation).digest('hex').slice(0, 24);
  return path.join(path.dirname(file), `.${path.basename(file)}.takeover-${digest}`);
}

/**
 * Replaces the lease of a dead trainer. The right to do so is a file named after the dead lease's content: it can be
 * created once, so one process gets it. Should that process die in turn before it is done, its own claim is the dead
 * lease of the next generation, named after both. Claims are removed only after the lease has been replaced, so
 * whoever creates one later finds another lease than the one it is named after and withdraws.
 *
 * @returns `done`, `again` when the lease has changed meanwhile, or the live process that is taking it over.
 */
async function takeOver(file: string, own: string, dead: FoundLease): Promise<'done' | 'again' | FoundLease> {
  const claims: string[] = [];
  let generation = dead.text;
  for (;;) {
    const claim = takeoverName(file, generation);
    claims.push(claim);
    if (await createExclusively(own, claim)) break;
    const rival = await readLeaseFile(claim);
    if (rival === null) return 'again';
    if (await isLeaseLive(rival)) return rival;
    generation += rival.text;
  }
  if ((await readLeaseFile(file))?.text !== dead.text) {
    await rm(claims.at(-1)!, { force: true });
    return 'again';
  }
  await rename(own, file);
  for (const claim of claims) await rm(claim, { force: true });
  return 'done';
}

async function tryOnce(file: string, own: string): Promise<'done' | 'again' | FoundLease> {
  const found = await readLeaseFile(file);
  if (found === null) return (await createExclusively(own, file)) ? 'done' : 'again';
  if (await isLeaseLive(found)) return found;
  return takeOver(file, own, found);
}

/**
 * Makes `text` the content of the lease file unless a live process holds it.
 *
 * @returns Null on success, else the lease of the live holder.
 */
export async function claimLeaseFile(file: string, text: string): Promise<FoundLease | null> {
  const own = temporaryName(file);
  try {
    await writeFile(own, text, { flag: 'wx' });
    let holder: FoundLease | null = null;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const outcome = await tryOnce(file, own);
      if (outcome === 'done') return null;
      if (outcome !== 'again') {
        holder = outcome;
        // Only a holder of the lease itself is final; one who is taking it over may still withdraw.
        if ((await readLeaseFile(file))?.text === holder.text) return holder;
      }
      await delay(pause);
    }
    return holder ?? { lease: null, heartbeat: Date.now(), text: '' };
  } finally {
    await rm(own, { force: true });
  }
}
