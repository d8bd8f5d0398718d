/** A graphics card that can be lost at will: a Vulkan driver built here around the one on the processor. */

import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gpuEnvironment } from './softwareGpu.ts';

export interface LostCard {
  /** For a process that is to have the card. */
  environment: NodeJS.ProcessEnv;
  /** Loses it at the next submission. */
  lose(): Promise<void>;
}

/** @returns why there is none as a string. */
export async function buildLostCard(folder: string): Promise<LostCard | string> {
  const environment = gpuEnvironment();
  if (typeof environment === 'string') return environment;
  const driver = environment.VK_ICD_FILENAMES;
  if (!driver) return 'only a driver that is named by VK_ICD_FILENAMES can be lost';
  const library = path.join(folder, 'lostCard.so');
  const source = fileURLToPath(new URL('lostCard.c', import.meta.url));
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], { stdio: 'ignore' });
  } catch {
    return 'a card that can be lost needs a C compiler (Debian: apt install gcc)';
  }
  const description = JSON.parse(await readFile(driver, 'utf8')) as { ICD: { library_path: string } };
  const real = path.resolve(path.dirname(driver), description.ICD.library_path);
  const manifest = path.join(folder, 'lostCard.json');
  description.ICD.library_path = library;
  await writeFile(manifest, JSON.stringify(description));
  const trigger = path.join(folder, 'lost');
  return {
    environment: {
      ...environment,
      ...{ VK_ICD_FILENAMES: manifest, VK_DRIVER_FILES: manifest },
      ...{ LOST_CARD_DRIVER: real, LOST_CARD_FILE: trigger },
    },
    lose: () => writeFile(trigger, ''),
  };
}
