import { createHash } from 'node:crypto';
import os from 'node:os';
import { physicalCores } from '../engines/physicalCores.ts';
import { gatherNumbers, type World } from './world.ts';

const comparedBytes = 6;

/**
 * Threads of this rank's engine when the settings leave them open: the cores of the machine shared among the ranks on it.
 * A launcher that binds ranks to cores of their own has shared them already.
 *
 * @returns 0, which leaves it to the engine, for a process on its own.
 */
export async function threadsOfRank(world: World): Promise<number> {
  if (world.size === 1) return 0;
  const host = createHash('sha256').update(os.hostname()).digest().readUIntBE(0, comparedBytes);
  const hosts = await gatherNumbers(world, host);
  const here = hosts.filter(other => other === host).length;
  const allowed = os.availableParallelism();
  if (allowed < os.cpus().length) return allowed;
  return Math.max(1, Math.floor(physicalCores() / here));
}
