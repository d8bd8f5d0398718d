import { type FSWatcher, watch } from 'node:fs';
import type { Disposable } from './emitter.ts';

/**
 * Calls back when something in a folder changes, and every `pollMilliseconds` in any case: file watching is a hint
 * that network drives, containers and folders yet to be created do not give.
 */
export class FolderWatch implements Disposable {
  readonly #folder: string;
  readonly #notify: () => void;
  readonly #poll: NodeJS.Timeout;
  #watcher: FSWatcher | null = null;
  #pending: NodeJS.Timeout | null = null;

  constructor(folder: string, pollMilliseconds: number, notify: () => void) {
    this.#folder = folder;
    this.#notify = notify;
    this.#poll = setInterval(() => {
      this.#attach();
      this.#notify();
    }, pollMilliseconds);
    this.#poll.unref();
    this.#attach();
  }

  #attach(): void {
    if (this.#watcher !== null) return;
    try {
      this.#watcher = watch(this.#folder, { persistent: false }, () => this.#notifySoon());
      this.#watcher.on('error', () => this.#detach());
    } catch {
      // The folder is not there yet or cannot be watched: the poll goes on.
    }
  }

  #detach(): void {
    this.#watcher?.close();
    this.#watcher = null;
  }

  /** Several changes at once are told once. */
  #notifySoon(): void {
    if (this.#pending !== null) return;
    this.#pending = setTimeout(() => {
      this.#pending = null;
      this.#notify();
    }, 100);
    this.#pending.unref();
  }

  dispose(): void {
    clearInterval(this.#poll);
    if (this.#pending !== null) clearTimeout(this.#pending);
    this.#detach();
  }
}
