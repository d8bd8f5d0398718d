/**
 * Ends every process that descends from one of ours, also those that left its process group or lost their parent:
 * they inherit an environment variable, which Linux shows under `/proc`.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export const MARKER_VARIABLE = 'CLIPSELF_TEST_PROCESS_TREE';

/** Milliseconds that processes get to end by themselves before they are killed. */
const GRACE = 3000;

/** Process identifiers of all live processes whose environment carries the marker. */
export function processesMarked(marker: string): number[] {
  const wanted = `${MARKER_VARIABLE}=${marker}`;
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => pid !== process.pid && environmentOf(pid).includes(wanted) && !isZombie(pid));
}

/** Sends a signal to every marked process; those that just ended are passed over. */
export function signalTree(marker: string, signal: NodeJS.Signals): void {
  for (const pid of processesMarked(marker)) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended between the listing and the signal.
    }
  }
}

/** Asks every marked process to end, then kills those left. Throws when one survives that. */
export async function endTree(marker: string): Promise<void> {
  signalTree(marker, 'SIGTERM');
  if (await emptyWithin(marker, GRACE)) return;
  signalTree(marker, 'SIGKILL');
  if (await emptyWithin(marker, GRACE)) return;
  throw new Error(`processes ${processesMarked(marker).join(', ')} survived SIGKILL: end them by hand`);
}

async function emptyWithin(marker: string, milliseconds: number): Promise<boolean> {
  const deadline = Date.now() + milliseconds;
  while (processesMarked(marker).length > 0) {
    if (Date.now() > deadline) return false;
    await sleep(50);
  }
  return true;
}

function environmentOf(pid: number): string[] {
  return readProc(pid, 'environ').split('\0');
}

/** A zombie still shows its environment's file, empty on most kernels, and waits only for its parent. */
function isZombie(pid: number): boolean {
  return /^\d+ \(.*\) Z/s.test(readProc(pid, 'stat'));
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It ended, or belongs to somebody else.
    return '';
  }
}
