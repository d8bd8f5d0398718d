/** Processor time of the processes below this one, as Linux counts it. */

import { readdir, readFile } from 'node:fs/promises';

/** Linux counts in hundredths of a second whatever its kernel's clock. */
const MILLISECONDS_PER_TICK = 10;

interface ProcessTime {
  parent: number;
  milliseconds: number;
  isService: boolean;
}

/** Milliseconds of processor time so far of the inspector service, and of all other processes below this one. */
export async function processorTime(): Promise<{ service: number; others: number }> {
  const processes = new Map<number, ProcessTime>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const found = await readProcess(name).catch(() => null);
    if (found !== null) processes.set(Number(name), found);
  }
  const total = { service: 0, others: 0 };
  for (const [id, { milliseconds, isService }] of processes)
    if (isBelow(processes, id)) total[isService ? 'service' : 'others'] += milliseconds;
  return total;
}

/** The name of a program may hold spaces and brackets; the numbers begin after its last bracket. */
async function readProcess(id: string): Promise<ProcessTime> {
  const status = await readFile(`/proc/${id}/stat`, 'utf8');
  const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const command = await readFile(`/proc/${id}/cmdline`, 'utf8');
  return {
    parent: Number(fields[1]),
    milliseconds: ticks * MILLISECONDS_PER_TICK,
    isService: command.split('\0').includes('inspect-service'),
  };
}

function isBelow(processes: ReadonlyMap<number, ProcessTime>, id: number): boolean {
  for (let parent = processes.get(id)?.parent; parent !== undefined; parent = processes.get(parent)?.parent)
    if (parent === process.pid) return true;
  return false;
}
