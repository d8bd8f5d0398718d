import { readFile } from 'node:fs/promises';
import { systemErrorCode } from '../checkpoints/fileError.ts';

/** What the kernel says about a process. */
export interface ProcessIdentity {
  /** Start time in clock ticks since boot, from `/proc/PID/stat`; null on systems without it. */
  readonly start: string | null;
}

/** State and start time from the content of `/proc/PID/stat`; null when it is malformed. */
function parseStat(content: string): { state: string; start: string } | null {
  // The second field is the command in parentheses and may hold spaces and parentheses itself.
  const fields = content.slice(content.lastIndexOf(')') + 2).split(' ');
  const [state, start] = [fields[0], fields[19]];
  return state !== undefined && start !== undefined && /^\d+$/.test(start) ? { state, start } : null;
}

function respondsToSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process: it exists.
    return systemErrorCode(error) === 'EPERM';
  }
}

/** Identifies a process of this machine; null when none of that number runs. A zombie does not run. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | null> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  if (process.platform === 'linux') {
    const content = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
    const stat = content === null ? null : parseStat(content);
    if (stat !== null) return stat.state === 'Z' || stat.state === 'X' ? null : { start: stat.start };
  }
  return respondsToSignals(pid) ? { start: null } : null;
}
