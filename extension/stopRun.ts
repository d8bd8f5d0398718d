import os from 'node:os';
import { systemErrorCode } from '../trainer/checkpoints/fileError.ts';
import type { StopResult, TrainerLease } from '../trainer/protocol.ts';
import { requestStop } from '../trainer/runs/controlClient.ts';
import { type FoundLease, isLeaseLive, readLease } from '../trainer/runs/leaseFile.ts';

/** How a stop was carried out: agreed over the control pipe, asked for by a signal, or there was nobody to stop. */
export type StopOutcome =
  | { kind: 'agreed'; afterStep: number }
  | { kind: 'signalled' }
  | { kind: 'notRunning' };

/** What stopping needs of the world. */
export interface StopEnvironment {
  readLease(directory: string): Promise<FoundLease | null>;
  isLeaseLive(found: FoundLease): Promise<boolean>;
  requestStop(controlPipe: string): Promise<StopResult>;
  terminate(pid: number): void;
  hostname: string;
  platform: NodeJS.Platform;
}

/**
 * Milliseconds to wait for the answer: a trainer in the middle of a long step hears the request, which waits in its
 * pipe, when the step is done.
 */
const STOP_TIMEOUT = 600_000;

/** This machine, as it is. */
export const thisMachine: StopEnvironment = {
  readLease,
  isLeaseLive,
  requestStop: pipe => requestStop(pipe, STOP_TIMEOUT),
  terminate: pid => void process.kill(pid, 'SIGTERM'),
  hostname: os.hostname(),
  platform: process.platform,
};

/**
 * Asks the trainer of a run to finish its step, save and exit; falls back to SIGTERM, which the trainer treats alike,
 * when its control pipe is gone (temporary folders are cleaned). A trainer that is merely slow to answer is not
 * signalled: a second request in a row would end it before it has saved. Nothing is ever killed without a chance to save.
 *
 * @throws Error with a sentence for the user when the trainer lives and cannot be reached from here.
 */
export async function stopRun(directory: string, world: StopEnvironment = thisMachine): Promise<StopOutcome> {
  const found = await world.readLease(directory);
  if (found === null || !(await world.isLeaseLive(found))) return { kind: 'notRunning' };
  const { lease } = found;
  if (lease === null) throw new Error('The trainer is just starting. Try again in a few seconds.');
  if (lease.host !== world.hostname) {
    throw new Error(
      `This run is trained on ${lease.host}, which cannot be reached from here. Stop it there.`,
    );
  }
  try {
    return { kind: 'agreed', afterStep: (await world.requestStop(lease.controlPipe)).afterStep };
  } catch (error) {
    // It may have ended in between, which is what was asked for.
    if (!(await world.isLeaseLive(found))) return { kind: 'notRunning' };
    if (!isPipeGone(error)) throw error;
    return terminateTrainer(lease, world, error);
  }
}

/** Whether a live trainer of this machine holds the run. */
export async function isTrainedHere(
  directory: string,
  world: StopEnvironment = thisMachine,
): Promise<boolean> {
  const found = await world.readLease(directory);
  return found?.lease?.host === world.hostname && (await world.isLeaseLive(found));
}

function isPipeGone(error: unknown): boolean {
  const code = systemErrorCode(error instanceof Error ? error.cause : undefined);
  return code === 'ENOENT' || code === 'ECONNREFUSED';
}

function terminateTrainer(lease: TrainerLease, world: StopEnvironment, reason: unknown): StopOutcome {
  // Windows has no SIGTERM: Node would end the process on the spot, in the middle of a step.
  if (world.platform === 'win32') {
    throw new Error(`${textOf(reason)}. Process ${lease.pid} can be ended in the Task Manager.`);
  }
  try {
    world.terminate(lease.pid);
  } catch (error) {
    throw new Error(`The trainer (process ${lease.pid}) could not be stopped: ${textOf(error)}`);
  }
  return { kind: 'signalled' };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
