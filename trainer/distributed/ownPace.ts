/** Ranks that work through their shares without waiting for each other, yet stop together and know how far all are. */
import { setTimeout as delay } from 'node:timers/promises';
import type { World } from './world.ts';

/** Milliseconds between two exchanges of a rank that works, and of one that has nothing left to do. */
const [workingPause, idlePause] = [200, 20];

export interface Pace {
  /** Whether any rank was asked to stop, as far as this one has heard. */
  stopped(): boolean;
  /** Tells how many items this rank has completed. */
  done(count: number): void;
  /** Items that all ranks have completed, as far as this one has heard. */
  total(): number;
}

/**
 * Does this rank's share of some work, and returns when every rank has done its own. Until then neither `work` nor
 * anybody else on this rank may call sums or broadcasts.
 *
 * @param stopRequested Whether this rank was asked to stop; `work` has to look at `pace.stopped`.
 * @returns whether any rank was asked to stop; on every rank the same.
 */
export async function atOwnPace(
  world: World,
  stopRequested: () => boolean,
  work: (pace: Pace) => Promise<void>,
): Promise<{ stopped: boolean }> {
  let [own, all, anyStopped, finished] = [0, 0, false, false];
  const pace: Pace = {
    stopped: () => anyStopped || stopRequested(),
    done: count => {
      own = count;
      if (world.size === 1) all = count;
    },
    total: () => Math.max(own, all),
  };
  const exchange = async (): Promise<void> => {
    for (;;) {
      const told = Float64Array.of(stopRequested() ? 1 : 0, finished ? 1 : 0, own);
      const [stops, ends, done] = (await world.sum(told)) as unknown as [number, number, number];
      anyStopped ||= stops > 0;
      all = done;
      if (ends === world.size) return;
      await delay(finished ? idlePause : workingPause);
    }
  };
  const exchanged = world.size > 1 ? exchange() : Promise.resolve();
  // A failure of the exchange shows where it is awaited.
  exchanged.catch(() => undefined);
  await work(pace);
  finished = true;
  await exchanged;
  // What one rank was asked after the last exchange, the others do not know.
  return { stopped: world.size > 1 ? anyStopped : pace.stopped() };
}

/** The places of a list that this rank works on: every N-th, so that ranks have about as much to do. */
export const shareOfPlaces = <Item>({ rank, size }: World, items: readonly Item[]): Item[] =>
  items.filter((_, place) => place % size === rank);
