import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { publishedModels } from '../trainer/checkpoints/publishedModels.ts';
import type { TransferProgress } from '../trainer/transferMeter.ts';
import { runCommand } from './runCommand.ts';

/** What the hub says of a model, to be agreed to. */
export interface ModelOffer {
  title: string;
  repository: string;
  bytes: number;
  licence: string;
  /** As its repository states it. */
  hubLicence: string | null;
  /** Where it will be. */
  directory: string;
  /** It is there already. */
  present: boolean;
  warnings: string[];
}

/** Asks for and fetches published models with the command line that ships with the extension. */
export class ModelDownloads {
  readonly #script: string;
  readonly #folder: string;

  /**
   * @param extensionFolder Where the extension is installed.
   * @param folder Where models are kept, one folder each.
   */
  constructor(extensionFolder: string, folder: string) {
    this.#script = path.join(extensionFolder, 'dist', 'trainer', 'cli.js');
    this.#folder = folder;
  }

  /** Folders of the models that were fetched whole, in the order of the list of published models. */
  async present(): Promise<string[]> {
    const found = await Promise.all(
      publishedModels.map(async ({ name, files }) => {
        const directory = path.join(this.#folder, name);
        const held = await readdir(directory).catch((): string[] => []);
        return files.some(file => held.includes(file)) ? directory : null;
      }),
    );
    return found.filter(directory => directory !== null);
  }

  /** Throws with one clear line when the hub cannot be reached or refuses. */
  async offer(name: string, signal: AbortSignal): Promise<ModelOffer> {
    return JSON.parse(await this.#run([name, '--dry-run'], () => undefined, signal)) as ModelOffer;
  }

  /**
   * Fetches a model whose licence was agreed to.
   *
   * @returns Its folder.
   */
  async fetch(
    name: string,
    received: (bytes: TransferProgress) => void,
    signal: AbortSignal,
  ): Promise<string> {
    const outcome = await this.#run([name, '--yes'], line => tellProgress(line, received), signal);
    return (JSON.parse(outcome) as ModelOffer).directory;
  }

  #run(args: string[], said: (line: string) => void, signal: AbortSignal): Promise<string> {
    const all = ['download', ...args, '--json', '--out', this.#folder];
    return runCommand(this.#script, all, 'The download', said, signal);
  }
}

/** Progress comes as JSON, one object a line; anything else is left out. */
function tellProgress(line: string, received: (bytes: TransferProgress) => void): void {
  if (!line.startsWith('{"received":')) return;
  received(JSON.parse(line) as TransferProgress);
}

/** What is agreed to, for a dialogue. */
export function licenceText({
  repository,
  bytes,
  licence,
  hubLicence,
  directory,
  warnings,
}: ModelOffer): string {
  return [
    `Licence: ${licence}.`,
    `Its repository on the hub states: ${hubLicence ?? 'nothing'}.`,
    '',
    `From ${repository}, ${Math.round(bytes / 1e6)} MB.`,
    `To ${directory}.`,
    ...warnings.map(warning => `Note: ${warning}.`),
  ].join('\n');
}
