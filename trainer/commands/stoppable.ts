import { leads, type World } from '../distributed/world.ts';
import { RunLog } from '../runs/runLog.ts';
import { StopSwitch } from '../server.ts';

/**
 * Long work of a command, which signals ask to end. Of several ranks the leading one speaks to the user.
 *
 * @param world The processes that share the work.
 */
export async function stoppable<Result>(
  world: World,
  work: (log: RunLog, stop: StopSwitch) => Promise<Result>,
): Promise<Result> {
  const log = new RunLog(leads(world) ? process.stderr : { write: () => undefined });
  // mpirun ends its processes soon after it has passed on the other signals.
  const stop = new StopSwitch(world.size > 1 ? ['SIGUSR2'] : []);
  const signals = stop.listen();
  try {
    return await work(log, stop);
  } finally {
    log.endProgress();
    signals.dispose();
  }
}
