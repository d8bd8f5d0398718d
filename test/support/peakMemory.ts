import { readFileSync } from 'node:fs';

/**
 * Largest resident memory of this process so far, in bytes. Linux counts `maxRSS` from the process that started this
 * one, whose size has nothing to do with it; its own high-water mark does not.
 */
export function peakMemory(): number {
  try {
    const mark = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    if (mark) return Number(mark[1]) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}
