import { readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { isJsonObject } from '../../checkpoints/jsonFile.ts';
import { dataFolder } from '../../dataFolder.ts';

/** Written last into an installation: a folder without it is none. */
export const installationFile = 'installation.json';

/** `1` lets CUDA's libraries round the operands of products to TensorFloat-32. */
export const tf32Variable = 'CLIPSELF_TENSORFLOW_TF32';

/** A TensorFlow that was installed for the engine. */
export interface Installation {
  /** Where it lies. */
  folder: string;
  /** npm package that loads it. */
  package: string;
  /** Where its libraries come from: `wheel` a Python wheel, `stock` the ones that the npm package brings. */
  source: 'wheel' | 'stock';
  /** Version of TensorFlow's libraries. */
  tensorflow: string;
  /** CUDA that they were built for; null when they compute on the processor. */
  cuda: string | null;
  cudnn: string | null;
}

/** What there is of the TensorFlow engine on this machine. Nothing is loaded to find out. */
export type InstallationState =
  | { installed: true; installation: Installation }
  | { installed: false; folder: string; reason: string };

/**
 * Where TensorFlow is installed: what CLIPSELF_TENSORFLOW names, else the user's data folder.
 */
export const installationFolder = (environment: NodeJS.ProcessEnv = process.env): string =>
  environment.CLIPSELF_TENSORFLOW
    ? path.resolve(environment.CLIPSELF_TENSORFLOW)
    : dataFolder('tensorflow', environment);

export async function findInstallation(folder: string = installationFolder()): Promise<InstallationState> {
  const missing = (reason: string): InstallationState => ({ installed: false, folder, reason });
  const text = await readFile(path.join(folder, installationFile), 'utf8').catch(() => null);
  if (text === null) return missing(`TensorFlow is not installed in ${folder}`);
  const found = parseInstallation(text, folder);
  if (!found) return missing(`${path.join(folder, installationFile)} is damaged: install TensorFlow again`);
  const entry = path.join(folder, 'node_modules', found.package, 'package.json');
  const present = await stat(entry).catch(() => null);
  if (!present) return missing(`${entry} is gone: install TensorFlow again`);
  return { installed: true, installation: found };
}

function parseInstallation(text: string, folder: string): Installation | null {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isJsonObject(content)) return null;
  const { package: name, source, tensorflow, cuda, cudnn } = content;
  const known = packages.find(candidate => candidate === name);
  if (!known || (source !== 'wheel' && source !== 'stock') || typeof tensorflow !== 'string') return null;
  const version = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  return { folder, package: known, source, tensorflow, cuda: version(cuda), cudnn: version(cudnn) };
}

/** The npm packages that may be loaded from an installation, and no other. */
export const packages = ['@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu'] as const;

/** `TensorFlow 2.21.0, CUDA 12.5.1` */
export const describeInstallation = ({
  tensorflow,
  cuda,
}: Pick<Installation, 'tensorflow' | 'cuda'>): string =>
  `TensorFlow ${tensorflow}, ${cuda === null ? 'processor only' : `CUDA ${cuda}`}`;

/** `require` as a module inside the installation has it. */
export const requireFrom = ({ folder }: Installation): NodeJS.Require =>
  createRequire(path.join(folder, 'package.json'));
