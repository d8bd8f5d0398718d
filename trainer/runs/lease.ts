import { randomBytes } from 'node:crypto';
import { utimesSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { makeDirectories } from '../checkpoints/atomicFile.ts';
import { FileError, naming } from '../checkpoints/fileError.ts';
import type { TrainerLease } from '../protocol.ts';
import { claimLeaseFile } from './leaseClaim.ts';
import { type FoundLease, readLeaseFile } from './leaseFile.ts';
import { identifyProcess } from './processIdentity.ts';
import { type RunFiles, runFiles } from './runDirectory.ts';

/** How often a live trainer touches its lease, in milliseconds. */
const heartbeatInterval = 5_000;

/** The right to train a run; at most one process has it. */
export interface Lease extends TrainerLease {
  /** Tells other machines that this trainer lives. Happens by itself while the event loop turns. */
  touch(): void;
  /** Whether the lease on disk is still this one; false after someone removed or replaced it. */
  isHeld(): Promise<boolean>;
  /** Gives the run back: removes the lease if it is still this one. Again does nothing. */
  release(): Promise<void>;
}

function heldError(directory: string, { lease }: FoundLease): FileError {
  if (lease === null) {
    return new FileError(
      directory,
      'another trainer is just starting on this run',
      'Try again in a few seconds',
    );
  }
  return new FileError(
    directory,
    `this run is being trained by process ${lease.pid} on ${lease.host} since ${lease.started}`,
    'Stop that trainer first, or train into another folder',
  );
}

/**
 * Takes the run in a directory for this process. A lease left by a dead trainer is taken over; of several processes
 * that try at once exactly one succeeds.
 *
 * @param options.controlPipe Where this trainer listens, see `controlPipePath`.
 * @throws FileError naming process, host and start when a live trainer holds the run.
 */
export async function acquireLease(directory: string, options: { controlPipe: string }): Promise<Lease> {
  const file = runFiles(directory).lease;
  const content: TrainerLease & { id: string } = {
    pid: process.pid,
    host: os.hostname(),
    processStart: (await identifyProcess(process.pid))?.start ?? null,
    started: new Date().toISOString(),
    controlPipe: options.controlPipe,
    id: randomBytes(16).toString('hex'),
  };
  const text = `${JSON.stringify(content, null, 2)}\n`;
  await naming(directory, 'write', async () => {
    await makeDirectories(path.dirname(file));
    const holder = await claimLeaseFile(file, text);
    if (holder !== null) throw heldError(directory, holder);
  });
  return holdLease(file, text, content);
}

/**
 * Asks before weights are written.
 *
 * @throws Error when someone removed or replaced the lease.
 */
export async function requireHeld(lease: Lease, { lease: file }: Pick<RunFiles, 'lease'>): Promise<void> {
  if (await lease.isHeld()) return;
  throw new Error(`${file} was removed or replaced: another trainer may have taken the run. Resume it there`);
}

function holdLease(file: string, text: string, content: TrainerLease): Lease {
  const touch = () => {
    try {
      const now = new Date();
      utimesSync(file, now, now);
    } catch {
      // A lease that is gone or out of reach shows in isHeld(); training itself goes on.
    }
  };
  const timer = setInterval(touch, heartbeatInterval);
  timer.unref();
  const isHeld = async () => (await readLeaseFile(file))?.text === text;
  const release = async () => {
    clearInterval(timer);
    if (await isHeld()) await naming(file, 'write', () => rm(file, { force: true }));
  };
  const { pid, host, processStart, started, controlPipe } = content;
  return { pid, host, processStart, started, controlPipe, touch, isHeld, release };
}
