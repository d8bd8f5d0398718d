import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { publishedModels } from '../trainer/checkpoints/publishedModels.ts';
import { clearLine, trainerEnvironment } from './trainerProcess.ts';

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

export interface ReceivedBytes {
  received: number;
  total: number;
  bytesPerSecond: number;
  remainingSeconds: number;
}

/** The user gave it up; what was received is kept. */
export class ModelDownloadCancelledError extends Error {
  override readonly name = 'ModelDownloadCancelledError';
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
  async fetch(name: string, received: (bytes: ReceivedBytes) => void, signal: AbortSignal): Promise<string> {
    const outcome = await this.#run([name, '--yes'], line => tellProgress(line, received), signal);
    return (JSON.parse(outcome) as ModelOffer).directory;
  }

  #run(args: string[], said: (line: string) => void, signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = spawn(
        process.execPath,
        [this.#script, 'download', ...args, '--json', '--out', this.#folder],
        { stdio: ['ignore', 'pipe', 'pipe'], env: trainerEnvironment(process.env), windowsHide: true },
      );
      let stdout = '';
      let lastLine = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      createInterface({ input: child.stderr }).on('line', line => {
        lastLine = line;
        said(line);
      });
      const cancel = () => child.kill('SIGTERM');
      signal.addEventListener('abort', cancel, { once: true });
      if (signal.aborted) cancel();
      child.once('error', reject);
      child.once('close', status => {
        signal.removeEventListener('abort', cancel);
        if (signal.aborted) reject(new ModelDownloadCancelledError('The download was cancelled.'));
        else if (status === 0) resolve(stdout);
        else reject(new Error(clearLine(lastLine) ?? `The download ended with status ${status}.`));
      });
    });
  }
}

/** Progress comes as JSON, one object a line; anything else is left out. */
function tellProgress(line: string, received: (bytes: ReceivedBytes) => void): void {
  if (!line.startsWith('{"received":')) return;
  received(JSON.parse(line) as ReceivedBytes);
}

/** `120 MB of 599 MB, 12.3 MB/s, 39 s left` */
export function describeReceived({
  received,
  total,
  bytesPerSecond,
  remainingSeconds,
}: ReceivedBytes): string {
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
  const left =
    remainingSeconds < 90
      ? `${Math.ceil(remainingSeconds)} s left`
      : `${Math.ceil(remainingSeconds / 60)} min left`;
  return `${megabytes(received)} of ${megabytes(total)}, ${(bytesPerSecond / 1e6).toFixed(1)} MB/s, ${left}`;
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
