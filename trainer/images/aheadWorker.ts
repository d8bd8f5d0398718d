import type { MessagePort } from 'node:worker_threads';
import type { LoaderReply, LoaderRequest } from './aheadMessages.ts';
import { BufferPool } from './bufferPool.ts';

/**
 * Serves an `AheadLoader` from its worker thread: builds items in the order they are asked for, while the main thread
 * is blocked in native code, until told to stop.
 *
 * @param build Its errors reach whoever asked, by their message. `memory` holds what came back of earlier items.
 * @param buffersOf Memory of an item that moves to the main thread.
 * @param onStop Ends what `build` holds, once it is told to stop and has done so.
 */
export function serveItems<Task, Item>(
  port: MessagePort | null,
  build: (index: number, task: Task, memory: BufferPool) => Promise<Item>,
  buffersOf: (item: Item) => ArrayBuffer[],
  onStop?: () => Promise<void> | undefined,
): void {
  if (port === null) throw new Error('this program runs as a worker thread of the trainer only');
  const memory = new BufferPool();
  let stopped = false;
  let work = Promise.resolve();
  port.on('message', (request: LoaderRequest<Task>) => {
    if (request.kind === 'stop') {
      stopped = true;
      port.close();
      work = work.then(onStop);
      return;
    }
    if (request.kind === 'memory') {
      memory.give(request.buffers);
      return;
    }
    const { index, task } = request;
    work = work.then(async () => {
      if (stopped) return;
      const reply = await answer(index, () => build(index, task, memory));
      port.postMessage(reply, reply.kind === 'item' ? buffersOf(reply.item) : []);
    });
  });
}

async function answer<Item>(index: number, build: () => Promise<Item>): Promise<LoaderReply<Item>> {
  try {
    return { kind: 'item', index, item: await build() };
  } catch (error) {
    return { kind: 'failed', index, message: error instanceof Error ? error.message : String(error) };
  }
}
