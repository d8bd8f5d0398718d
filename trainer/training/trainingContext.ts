import type { World } from '../distributed/world.ts';
import type { Engine } from '../engines/engine.ts';
import type { RunConfiguration } from '../protocol.ts';
import type { Lease } from '../runs/lease.ts';
import type { RunFiles } from '../runs/runDirectory.ts';
import type { RunLog } from '../runs/runLog.ts';
import type { RunPlan } from './runPlan.ts';

/** What a training run works with. */
export interface TrainingContext {
  /** Processes that share each step. */
  world: World;
  files: RunFiles;
  configuration: RunConfiguration;
  plan: RunPlan;
  engine: Engine;
  /** Null on ranks that do not lead. */
  lease: Lease | null;
  log: RunLog;
  /** Asked between steps: true ends the run after saving. */
  stopRequested: () => boolean;
}

export interface TrainingOutcome {
  state: 'finished' | 'stopped';
  step: number;
  /** Held-out cosine before training and at the end; null where none was measured. */
  before: number | null;
  after: number | null;
}
