/** What a loader and its worker thread say to each other about their items. */

/** `task` is whatever the worker needs to know of the item; `memory` is that of an item which was used up. */
export type LoaderRequest<Task> =
  | { kind: 'build'; index: number; task: Task }
  | { kind: 'memory'; buffers: SharedArrayBuffer[] }
  | { kind: 'stop' };

export type LoaderReply<Item> =
  | { kind: 'item'; index: number; item: Item }
  | { kind: 'failed'; index: number; message: string };
