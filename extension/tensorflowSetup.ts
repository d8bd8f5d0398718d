import { existsSync } from 'node:fs';
import path from 'node:path';
import {
  findInstallation,
  type InstallationState,
  installationFile,
  installationFolder,
} from '../trainer/engines/tensorflow/installation.ts';
import {
  gigabytes,
  type LibraryKind,
  libraryKinds,
  setupSizes,
} from '../trainer/engines/tensorflow/setup/sizes.ts';
import { isPlainObject } from './commandArguments.ts';
import { runCommand } from './runCommand.ts';
import { describeTransfer } from './transferText.ts';

/**
 * Argument of the command `clipself.installCudaEngine`, for programs and the command line of a container's set-up. With
 * it nothing is asked: who passes it has agreed to the download.
 */
export type InstallRequest = { libraries: LibraryKind } | { remove: true };

/** What was installed, as `clipself setup-tensorflow --json` tells it. */
export interface InstalledEngine {
  folder: string;
  source: 'wheel' | 'stock';
  tensorflow: string;
  cuda: string | null;
  /** Whether TensorFlow sees a card that it can compute on. */
  gpu: boolean;
  /** Why not, and what to do; null on a card. */
  noCard: string | null;
}

export const isInstallArgument = (value: unknown): boolean =>
  isPlainObject(value) && ('libraries' in value || 'remove' in value);

/** Throws Error when the argument, free text in a key binding, cannot be used; null where the user is to be asked. */
export function parseInstallArgument(value: unknown): InstallRequest | null {
  if (!isInstallArgument(value)) return null;
  const { libraries, remove } = value as Readonly<Record<string, unknown>>;
  if (remove === true && libraries === undefined) return { remove };
  const kind = libraryKinds.find(known => known === libraries);
  if (kind === undefined || remove !== undefined)
    throw new Error(
      `clipself.installCudaEngine takes {"libraries": "${libraryKinds.join('"|"')}"} or {"remove": true}.`,
    );
  return { libraries: kind };
}

/** The TensorFlow of this extension, installed and removed by the command line that ships with it. */
export class TensorflowSetup {
  readonly #script: string;
  /** Where it is installed: what the environment names, else the extension's own folder. */
  readonly folder: string;
  readonly #controller = new AbortController();
  #busy = false;

  /**
   * @param extensionFolder Where the extension is installed.
   * @param folder Where TensorFlow is kept when the environment does not say.
   */
  constructor(extensionFolder: string, folder: string, environment: NodeJS.ProcessEnv = process.env) {
    this.#script = path.join(extensionFolder, 'dist', 'trainer', 'cli.js');
    this.folder = environment.CLIPSELF_TENSORFLOW ? installationFolder(environment) : folder;
  }

  /** What trainers are told so that they find it. One that was installed from a terminal they find by themselves. */
  get variables(): NodeJS.ProcessEnv {
    return existsSync(path.join(this.folder, installationFile)) ? { CLIPSELF_TENSORFLOW: this.folder } : {};
  }

  /** The installation that trainers would load. */
  async state(): Promise<InstallationState> {
    const own = await findInstallation(this.folder);
    return own.installed ? own : findInstallation();
  }

  /**
   * Installs it; an older one is replaced once the new one works, and nothing is left of one that failed.
   *
   * @throws CommandCancelledError, or an Error with one clear line.
   */
  async install(
    libraries: LibraryKind,
    report: (progress: { message: string; percent: number | null }) => void,
    signal: AbortSignal,
  ): Promise<InstalledEngine> {
    if (this.#busy) throw new Error('TensorFlow is being installed already.');
    this.#busy = true;
    try {
      const args = ['setup-tensorflow', `--${libraries}`, '--yes', '--json', '--out', this.folder];
      const said = (line: string): void => {
        const progress = progressOf(line);
        if (progress !== null) report(progress);
      };
      const either = AbortSignal.any([signal, this.#controller.signal]);
      const outcome = await runCommand(this.#script, args, 'The installation', said, either);
      return JSON.parse(outcome) as InstalledEngine;
    } finally {
      this.#busy = false;
    }
  }

  /** Throws an Error with one clear line when there is none of its own or it cannot go. */
  async remove(): Promise<void> {
    const args = ['setup-tensorflow', '--remove', '--json', '--out', this.folder];
    await runCommand(this.#script, args, 'The removal', () => undefined, new AbortController().signal);
  }

  /** Ends an installation: it belongs to this window. */
  dispose(): void {
    this.#controller.abort();
  }
}

/** A line of `clipself setup-tensorflow --json`; the libraries are nearly all of the time. */
function progressOf(line: string): { message: string; percent: number | null } | null {
  if (!line.startsWith('{')) return null;
  const said = JSON.parse(line) as Record<string, unknown>;
  if (typeof said.fallingBack === 'string')
    return { message: `${said.fallingBack}. Trying the old libraries of tfjs-node instead`, percent: null };
  const { text, received, total, bytesPerSecond, remainingSeconds } = said as Record<string, number>;
  if (received === undefined || total === undefined) return { message: String(text), percent: null };
  const transfer = { received, total, bytesPerSecond: bytesPerSecond!, remainingSeconds: remainingSeconds! };
  return { message: describeTransfer(transfer), percent: Math.min(99, (100 * received) / total) };
}

/** `3.40 GB to download, 6.00 GB on the disk` */
export const sizeText = (libraries: LibraryKind): string =>
  `${gigabytes(setupSizes[libraries].download)} to download, ${gigabytes(setupSizes[libraries].disk)} on the disk`;

/** What is agreed to, for a dialogue. */
export function installationText(
  libraries: LibraryKind,
  folder: string,
  platform: NodeJS.Platform = process.platform,
): string {
  const fromWheels = [
    `From the Python package index: the newest TensorFlow${libraries === 'cuda' ? ' and the CUDA libraries it names (under NVIDIA’s licence)' : ''}.`,
    'From npm: @tensorflow/tfjs-node and node-api-headers; the addon is compiled here.',
    'Needs npm, Python with pip and a C++ compiler. Nothing of Python runs afterwards.',
  ];
  const stock = [
    'From npm: @tensorflow/tfjs-node, and the old libraries that it fetches (TensorFlow 2.9.1).',
    'Cards newer than 2021 do not work with them. Needs npm.',
  ];
  return [
    `About ${sizeText(libraries)}.`,
    `To ${folder}.`,
    '',
    ...(platform === 'linux' ? fromWheels : stock),
  ].join('\n');
}
