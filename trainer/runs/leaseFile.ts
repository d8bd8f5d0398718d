import { stat } from 'node:fs/promises';
import os from 'node:os';
import { asFileError, FileError, systemErrorCode } from '../checkpoints/fileError.ts';
import { isJsonObject, readBoundedText } from '../checkpoints/jsonFile.ts';
import type { TrainerLease } from '../protocol.ts';
import { identifyProcess } from './processIdentity.ts';
import { runFiles } from './runDirectory.ts';

/** A lease of another machine is live while its last heartbeat is younger than this, in milliseconds. */
const heartbeatLimit = 60_000;
/** Where the kernel does not tell start times, a process that has been silent for so long is another of that number. */
const silenceLimit = 600_000;
/** A lease that cannot be understood may be one being written; it is respected this long, in milliseconds. */
const settlingTime = 10_000;

/** A lease as found on disk. */
export interface FoundLease {
  /** Null when the file does not hold a lease. */
  readonly lease: TrainerLease | null;
  /** Time of the last heartbeat, milliseconds since the Unix epoch. */
  readonly heartbeat: number;
  /** The file's content, which no two leases share. */
  readonly text: string;
}

function parseLease(text: string): TrainerLease | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isJsonObject(value)) return null;
  const { pid, host, processStart, started, controlPipe } = value;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return null;
  if (typeof host !== 'string' || typeof started !== 'string' || typeof controlPipe !== 'string') return null;
  if (processStart !== null && typeof processStart !== 'string') return null;
  return { pid, host, processStart, started, controlPipe };
}

/** Reads a lease file; null when there is none. */
export async function readLeaseFile(file: string): Promise<FoundLease | null> {
  try {
    const text = await readBoundedText(file, 1 << 16);
    return { lease: parseLease(text), heartbeat: (await stat(file)).mtimeMs, text };
  } catch (error) {
    const cause = error instanceof FileError ? error.cause : error;
    if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(cause) ?? '')) return null;
    throw asFileError(error, file, 'read');
  }
}

/**
 * Reads who trains, or last trained, the run in a directory; null when nobody holds it.
 *
 * @throws FileError when the lease cannot be read.
 */
export function readLease(directory: string): Promise<FoundLease | null> {
  return readLeaseFile(runFiles(directory).lease);
}

/**
 * Whether the trainer of a lease is alive. On this machine the kernel knows: a process of that number with that
 * start time. Of another machine only the heartbeat is seen.
 */
export async function isLeaseLive({ lease, heartbeat }: FoundLease): Promise<boolean> {
  const age = Date.now() - heartbeat;
  if (lease === null) return age < settlingTime;
  if (lease.host !== os.hostname()) return age < heartbeatLimit;
  const found = await identifyProcess(lease.pid);
  if (found === null) return false;
  if (lease.processStart === null || found.start === null) return age < silenceLimit;
  return found.start === lease.processStart;
}
