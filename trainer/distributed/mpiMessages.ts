/** What the trainer and the thread that calls MPI say to each other. Arrays move, they are not copied. */
import type { Launch } from './launcher.ts';
import type { MpiArray } from './mpiLibrary.ts';

/** `workerData` of the thread. */
export interface MpiThreadSettings {
  launch: Launch;
  /** One number, shared: anything but 0 makes the thread end the whole job, whatever it waits for. */
  abort: SharedArrayBuffer;
}

export type MpiRequest =
  | { kind: 'sum'; array: MpiArray; count: number }
  | { kind: 'broadcast'; array: MpiArray; root: number }
  | { kind: 'finalise' };

export type MpiReply =
  | { kind: 'ready'; rank: number; size: number; version: string }
  | { kind: 'failed'; message: string }
  /** Of the oldest request without an answer; seconds from its turn to its end. */
  | { kind: 'done'; array: MpiArray; seconds: number }
  | { kind: 'finalised' };
