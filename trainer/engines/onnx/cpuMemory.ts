import type { DataType } from '../../graph/value.ts';
import { arrayOf, type HostData } from '../engine.ts';

/**
 * Host arrays handed out and taken back. Fresh memory costs a page fault for every 4 KiB; a training step needs the
 * same sizes again and again, so arrays that come back wait for the next taker of their size.
 */
export class CpuMemory {
  readonly #free = new Map<string, HostData[]>();
  #freeBytes = 0;
  liveTensors = 0;
  liveBytes = 0;
  readonly #idleLimitBytes: number;

  /** @param idleLimitBytes at most this much waits unused. */
  constructor(idleLimitBytes: number) {
    this.#idleLimitBytes = idleLimitBytes;
  }

  take(dtype: DataType, size: number): HostData {
    const waiting = this.#free.get(`${dtype} ${size}`)?.pop();
    if (waiting) this.#freeBytes -= waiting.byteLength;
    const array = waiting ?? new arrayOf[dtype](size);
    this.liveTensors++;
    this.liveBytes += array.byteLength;
    return array;
  }

  giveBack(dtype: DataType, array: HostData): void {
    this.liveTensors--;
    this.liveBytes -= array.byteLength;
    if (this.#freeBytes + array.byteLength > this.#idleLimitBytes) return;
    const key = `${dtype} ${array.length}`;
    const list = this.#free.get(key);
    if (list) list.push(array);
    else this.#free.set(key, [array]);
    this.#freeBytes += array.byteLength;
  }

  clear(): void {
    this.#free.clear();
    this.#freeBytes = 0;
  }
}
