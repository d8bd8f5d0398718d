import { mkdir, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { identifyProcess } from '../../../runs/processIdentity.ts';
import { TransferMeter, type TransferProgress } from '../../../transferMeter.ts';
import { type Installation, installationFile } from '../installation.ts';
import { tryTensorflow } from '../tryTensorflow.ts';
import { buildAddon } from './addon.ts';
import { MissingToolError, runTool, SetupCancelledError, SetupError } from './runTool.ts';
import { gigabytes, type LibraryKind, setupSizes } from './sizes.ts';
import { fetchLibraries, hasWheels } from './wheels.ts';

const tfjsVersion = '4.22.0';
const headersVersion = '1.9.0';
const nodePackage = '@tensorflow/tfjs-node';

export type SetupStage = 'packages' | 'libraries' | 'addon' | 'stock' | 'check';

/** Bytes of the libraries come in their stage only, and their total is an estimate. */
export type SetupProgress = { stage: SetupStage } & Partial<TransferProgress>;

export interface SetupOptions {
  /** Where the installation will be; an older one is replaced once the new one works. */
  folder: string;
  libraries: LibraryKind;
  signal: AbortSignal;
  progress: (progress: SetupProgress) => void;
  /** Told when TensorFlow's own libraries cannot be had and the old ones of the npm package take their place. */
  fallingBack: (reason: string) => void;
}

export interface SetupOutcome extends Installation {
  /** Whether TensorFlow sees a card that it can compute on. */
  gpu: boolean;
  /** Why not, and what to do; null on a card. */
  noCard: string | null;
}

/**
 * Installs TensorFlow for the engine. Nothing is left behind when it fails or is cancelled.
 *
 * @throws SetupError
 */
export async function setUpTensorflow(options: SetupOptions): Promise<SetupOutcome> {
  const { folder, libraries, signal } = options;
  const partial = `${folder}.partial`;
  await requireNobodyElse(partial);
  try {
    await rm(partial, { recursive: true, force: true });
    await mkdir(path.join(partial, 'scratch'), { recursive: true });
    await writeFile(path.join(partial, ownerFile), String(process.pid));
    await requireSpace(partial, setupSizes[libraries].whileInstalling);
    const outcome = await build(partial, options);
    await rm(path.join(partial, 'scratch'), { recursive: true, force: true });
    await rm(path.join(partial, ownerFile));
    signal.throwIfAborted();
    const { folder: _, gpu: __, noCard: ___, ...installation } = outcome;
    await writeFile(path.join(partial, installationFile), `${JSON.stringify(installation, null, 2)}\n`);
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder);
    return { ...outcome, folder };
  } catch (error) {
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
    throw signal.aborted ? new SetupCancelledError('cancelled: nothing was installed') : readable(error);
  }
}

async function build(partial: string, options: SetupOptions): Promise<SetupOutcome> {
  const reason = hasWheels()
    ? null
    : `TensorFlow offers no libraries for C programs on ${process.platform}-${process.arch}`;
  if (reason === null) {
    try {
      return await buildFromWheels(partial, options);
    } catch (error) {
      // Without a tool the old libraries may do; a failed download or a full disk would fail there as well.
      if (!(error instanceof MissingToolError)) throw error;
      return installInstead(partial, error.message, options);
    }
  }
  return installInstead(partial, reason, options);
}

async function installInstead(partial: string, reason: string, options: SetupOptions): Promise<SetupOutcome> {
  options.fallingBack(reason);
  try {
    return await installStock(partial, options);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(
      `${reason}. The old libraries of tfjs-node cannot take their place: ${error.message}`,
    );
  }
}

async function buildFromWheels(
  partial: string,
  { libraries, signal, progress }: SetupOptions,
): Promise<SetupOutcome> {
  progress({ stage: 'libraries' });
  const folder = path.join(partial, 'libraries');
  await mkdir(folder, { recursive: true });
  const meter = new TransferMeter(setupSizes[libraries].download, 0, received =>
    progress({ stage: 'libraries', ...received }),
  );
  const found = await fetchLibraries(folder, libraries === 'cuda', {
    scratch: path.join(partial, 'scratch'),
    signal,
    received: bytes => meter.show(bytes),
  });
  progress({ stage: 'packages' });
  await installPackages(
    partial,
    [`${nodePackage}@${tfjsVersion}`, `node-api-headers@${headersVersion}`],
    signal,
  );
  progress({ stage: 'addon' });
  await buildAddon({ folder: partial, package: nodePackage, signal });
  progress({ stage: 'check' });
  const checked = await tryTensorflow(partial, nodePackage, signal);
  return { folder: partial, package: nodePackage, source: 'wheel', ...found, ...checked };
}

/** The npm package with the libraries that it brings: TensorFlow 2.9.1, for CUDA 11.2 and cuDNN 8.1. */
async function installStock(
  partial: string,
  { libraries, signal, progress }: SetupOptions,
): Promise<SetupOutcome> {
  const gpuPackage = libraries === 'cuda' && process.platform !== 'darwin';
  const name = gpuPackage ? `${nodePackage}-gpu` : nodePackage;
  progress({ stage: 'stock' });
  await installPackages(partial, [`${name}@${tfjsVersion}`], signal);
  const cwd = path.join(partial, 'node_modules', name);
  await runTool('npm', ['run', 'install'], { cwd, signal });
  progress({ stage: 'check' });
  const checked = await tryTensorflow(partial, name, signal);
  const versions = gpuPackage ? { cuda: '11.2', cudnn: '8.1' } : { cuda: null, cudnn: null };
  return { folder: partial, package: name, source: 'stock', ...versions, ...checked };
}

async function installPackages(
  folder: string,
  packages: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await writeFile(path.join(folder, 'package.json'), '{ "name": "clipself-tensorflow", "private": true }\n');
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', ...packages];
  try {
    await runTool('npm', args, { cwd: folder, signal });
  } catch (error) {
    if (error instanceof MissingToolError)
      throw new SetupError(
        'npm is needed and is not installed here: install Node.js, which brings it, and try again',
      );
    throw error;
  }
}

/** Holds the process that installs into a folder, while it does. */
const ownerFile = 'installing.pid';

async function requireNobodyElse(partial: string): Promise<void> {
  const text = await readFile(path.join(partial, ownerFile), 'utf8').catch(() => null);
  const owner = Number(text);
  if (text === null || owner === process.pid || (await identifyProcess(owner)) === null) return;
  throw new SetupError(`TensorFlow is being installed there already, by process ${owner}: wait for it`);
}

async function requireSpace(folder: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= needed) return;
  throw new SetupError(
    `installing takes ${gigabytes(needed)} on the disk of ${path.dirname(folder)}, and ${gigabytes(bavail * bsize)} are free: free some space, or name another folder with --out`,
  );
}

/** System errors in one line. */
function readable(error: unknown): Error {
  if (error instanceof SetupError) return error;
  const full = error instanceof Error && 'code' in error && error.code === 'ENOSPC';
  if (full) return new SetupError('the disk is full: free some space and try again');
  return new SetupError(error instanceof Error ? error.message : String(error));
}
