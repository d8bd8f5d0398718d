import { setTimeout as delay } from 'node:timers/promises';
import { errorLine } from '../usageError.ts';
import { findLaunch } from './launcher.ts';
import { AgreedFailure, soloWorld, type World } from './world.ts';

/** Another rank has said what went wrong. */
export class ToldElsewhere extends Error {
  override readonly name = 'ToldElsewhere';
}

/** Milliseconds for the launcher to pass on what was told: that of MPICH drops what it has not read when the job is ended. */
const tellingMs = 500;

/**
 * Work among all processes that `mpirun` or `srun` started, or alone without a launcher, in which case no MPI is looked for.
 * What fails on one rank alone is told in one line and ends the whole job.
 */
export async function inWorld<Result>(work: (world: World) => Promise<Result>): Promise<Result> {
  const launch = findLaunch();
  if (!launch) return work(soloWorld);
  // Loaded when it is needed: a process on its own has no use for it.
  const { MpiWorld } = await import('./mpiWorld.ts');
  const world = await MpiWorld.join(launch);
  try {
    const result = await work(world);
    await world.finish();
    return result;
  } catch (error) {
    if (!(error instanceof AgreedFailure)) {
      console.error(`clipself: rank ${world.rank} of ${world.size}: ${errorLine(error)}`);
      await delay(tellingMs);
      return world.abort();
    }
    await world.finish();
    throw error.cause ?? new ToldElsewhere(error.message);
  }
}
