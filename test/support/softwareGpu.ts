/** A WebGPU adapter on the processor, for tests on machines without a graphics card. */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { testEngineVariable } from './testEngine.ts';

/** Names an environment for a process that finds the machine's own graphics card instead. */
export const ownCardVariable = 'CLIPSELF_TEST_OWN_GPU';

const chromium = process.env.CHROMIUM_FOLDER ?? '/usr/lib/chromium';

/**
 * Environment of a process whose WebGPU adapter is SwiftShader, Chromium's Vulkan on the processor; both it and the
 * loader must be in place before the process starts. With CLIPSELF_TEST_OWN_GPU=1 the machine's own card is taken.
 *
 * @returns why there is none as a string.
 */
export function gpuEnvironment(): NodeJS.ProcessEnv | string {
  const environment = { ...process.env, [testEngineVariable]: 'webgpu' };
  if (process.env[ownCardVariable]) return environment;
  const driver = path.join(chromium, 'vk_swiftshader_icd.json');
  if (process.platform !== 'linux' || !existsSync(driver))
    return `no WebGPU without a graphics card: ${driver} is missing (Debian's chromium has it); ${ownCardVariable}=1 takes the machine's own card`;
  const loaders = [chromium, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':');
  return { ...environment, VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver, LD_LIBRARY_PATH: loaders };
}
