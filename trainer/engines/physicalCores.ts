import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/**
 * Cores that this process may use, two hardware threads of one core counted once: products of matrices fill a core's
 * arithmetic units with one thread. Where the system does not tell, every hardware thread counts.
 *
 * @param folder What Linux says of its processors.
 */
export function physicalCores(folder = '/sys/devices/system/cpu'): number {
  const usable = os.availableParallelism();
  const siblings = new Set<string>();
  try {
    for (const name of readdirSync(folder).filter(entry => /^cpu\d+$/.test(entry)))
      siblings.add(readFileSync(path.join(folder, name, 'topology', 'thread_siblings_list'), 'utf8').trim());
  } catch {
    return usable;
  }
  return siblings.size === 0 ? usable : Math.min(usable, siblings.size);
}
