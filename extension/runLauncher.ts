import path from 'node:path';
import { type RunRequest, resumeArguments, trainArguments } from './commandLine.ts';
import { startTrainer } from './trainerProcess.ts';

/** Starts trainers with the command line that ships with the extension. */
export class RunLauncher {
  readonly #script: string;
  readonly #outputFolder: string;

  /**
   * @param extensionFolder Where the extension is installed.
   * @param outputFolder For what trainers print before they have a log of their own.
   */
  constructor(extensionFolder: string, outputFolder: string) {
    this.#script = path.join(extensionFolder, 'dist', 'trainer', 'cli.js');
    this.#outputFolder = outputFolder;
  }

  /** Starts a run and waits until it trains. Throws as `startTrainer` does. */
  start(request: RunRequest, signal: AbortSignal): Promise<void> {
    return this.#launch(request.out, trainArguments(request), signal);
  }

  /** Continues a run with its own settings and waits until it trains. Throws as `startTrainer` does. */
  async resume(directory: string, signal: AbortSignal): Promise<void> {
    await this.#launch(directory, await resumeArguments(directory), signal);
  }

  #launch(directory: string, args: string[], signal: AbortSignal): Promise<void> {
    const outputFile = path.join(this.#outputFolder, `${path.basename(directory)}-output.txt`);
    const executable = process.execPath;
    return startTrainer({ executable, script: this.#script, args, directory, outputFile }, signal);
  }
}
