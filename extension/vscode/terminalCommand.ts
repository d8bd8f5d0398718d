import path from 'node:path';
import * as vscode from 'vscode';
import type { Disposable } from '../emitter.ts';
import { settingKeys } from '../identifiers.ts';
import { writeLaunchers } from '../terminalLaunchers.ts';
import type { LogChannel } from './logChannel.ts';
import { addsToTerminalPath } from './settings.ts';

/** `clipself` in the terminals of this window: the command line that ships with the extension, run by VS Code's own Node. */
export class TerminalCommand implements Disposable {
  readonly #context: vscode.ExtensionContext;
  readonly #variables: () => NodeJS.ProcessEnv;
  readonly #channel: LogChannel;
  readonly #listener: vscode.Disposable;

  /** @param variables What every trainer is told about engines. */
  constructor(context: vscode.ExtensionContext, variables: () => NodeJS.ProcessEnv, channel: LogChannel) {
    this.#context = context;
    this.#variables = variables;
    this.#channel = channel;
    const keys = [settingKeys.terminalAddToPath, settingKeys.tensorflowTf32];
    this.#listener = vscode.workspace.onDidChangeConfiguration(event => {
      if (keys.some(key => event.affectsConfiguration(key))) void this.update();
    });
  }

  /** To be called when what it runs, or the variables, may have changed. What fails is for the log: nobody waits for it. */
  async update(): Promise<void> {
    try {
      await this.#update();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#channel.error(`Terminals do not get the command clipself. ${reason}`);
    }
  }

  async #update(): Promise<void> {
    // Outside the extension's folder, whose name changes with its version: open terminals keep what they know.
    const folder = path.join(this.#context.globalStorageUri.fsPath, 'bin');
    if (addsToTerminalPath()) {
      const script = path.join(this.#context.extensionPath, 'dist', 'trainer', 'cli.js');
      await writeLaunchers({ folder, executable: process.execPath, script, variables: this.#variables() });
    }
    const collection = this.#context.environmentVariableCollection;
    // Asked again: it may have changed meanwhile.
    if (!addsToTerminalPath()) return collection.clear();
    collection.description = 'The command `clipself` of CLIPSelf Lab';
    // The second time after the shell's own profile, which may begin a new PATH.
    const options = { applyAtProcessCreation: true, applyAtShellIntegration: true };
    collection.prepend('PATH', folder + path.delimiter, options);
  }

  dispose(): void {
    this.#listener.dispose();
  }
}
