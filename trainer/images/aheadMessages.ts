/** What a loader and its worker thread say to each other about their items. */

/** `task` is whatever the worker needs to know of the item. */
export type LoaderRequest<Task> = { kind: 'build'; index: number; task: Task } | { kind: 'stop' };

export type LoaderReply<Item> =
  | { kind: 'item'; index: number; item: Item }
  | { kind: 'failed'; index: number; message: string };
