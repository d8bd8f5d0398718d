import * as vscode from 'vscode';
import type { Disposable } from '../emitter.ts';
import type { LogLevel } from '../logLines.ts';

/** The output channel of the extension: its own words and those of the trainers it follows. */
export class LogChannel implements Disposable {
  readonly #channel: vscode.LogOutputChannel;

  constructor() {
    this.#channel = vscode.window.createOutputChannel('CLIPSelf', { log: true });
  }

  write(level: LogLevel, message: string): void {
    this.#channel[level](message);
  }

  error(message: string): void {
    this.#channel.error(message);
  }

  show(): void {
    this.#channel.show(true);
  }

  dispose(): void {
    this.#channel.dispose();
  }
}
