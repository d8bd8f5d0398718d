import type { DataType } from '../../graph/value.ts';
import { arrayOf, type HostData } from '../engine.ts';

/**
 * Host arrays handed out and taken back. Fresh memory costs a page fault for every 4 KiB; a training step needs the
 * same sizes again and again, so arrays that come back wait for the next taker of their size. What lives and what waits
 * never take more together than what lived at once, and a little beyond.
 */
export class CpuMemory {
  /** Arrays that wait, by type and size, the sizes in order of their last use: a Map keeps insertion order. */
  readonly #waiting = new Map<string, HostData[]>();
  #waitingBytes = 0;
  #mostLiveBytes = 0;
  liveTensors = 0;
  liveBytes = 0;
  readonly #beyondBytes: number;

  /** @param beyondBytes how much may be held beyond the most that lived at once. */
  constructor(beyondBytes: number) {
    this.#beyondBytes = beyondBytes;
  }

  take(dtype: DataType, size: number): HostData {
    const waiting = this.#waiting.get(`${dtype} ${size}`)?.pop();
    if (waiting) this.#waitingBytes -= waiting.byteLength;
    const array = waiting ?? new arrayOf[dtype](size);
    this.liveTensors++;
    this.liveBytes += array.byteLength;
    this.#mostLiveBytes = Math.max(this.#mostLiveBytes, this.liveBytes);
    this.#letGo();
    return array;
  }

  giveBack(dtype: DataType, array: HostData): void {
    this.liveTensors--;
    this.liveBytes -= array.byteLength;
    const key = `${dtype} ${array.length}`;
    const list = this.#waiting.get(key) ?? [];
    list.push(array);
    this.#waiting.delete(key);
    this.#waiting.set(key, list);
    this.#waitingBytes += array.byteLength;
    this.#letGo();
  }

  /** Forgets arrays of the sizes that were longest not used, until what is held fits. */
  #letGo(): void {
    const allowed = this.#mostLiveBytes + this.#beyondBytes - this.liveBytes;
    for (const [key, list] of this.#waiting) {
      while (this.#waitingBytes > allowed && list.length > 0) this.#waitingBytes -= list.pop()!.byteLength;
      if (list.length === 0) this.#waiting.delete(key);
      if (this.#waitingBytes <= allowed) return;
    }
  }

  clear(): void {
    this.#waiting.clear();
    this.#waitingBytes = 0;
  }
}
