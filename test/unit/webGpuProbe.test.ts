import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { WebGpuProbe } from '../../trainer/engines/onnx/webGpuProbe.ts';
import { skipBecause } from '../support/skip.ts';
import { gpuEnvironment } from '../support/softwareGpu.ts';

const sourceOf = (file: string): string =>
  JSON.stringify(fileURLToPath(new URL(`../../trainer/engines/${file}`, import.meta.url)));

/** What a module prints in a process of that environment. */
async function runUnder(environment: NodeJS.ProcessEnv, module: string): Promise<string> {
  const args = ['--import=tsx', '--input-type=module', '-e', module];
  return (await promisify(execFile)(process.execPath, args, { env: environment })).stdout;
}

/** What the probe says in a process of that environment. */
async function probeUnder(environment: NodeJS.ProcessEnv): Promise<WebGpuProbe> {
  const module = `import { probeWebGpu } from ${sourceOf('onnx/webGpuProbe.ts')};
    console.log(JSON.stringify(await probeWebGpu()));`;
  return JSON.parse(await runUnder(environment, module)) as WebGpuProbe;
}

describe('the probe of WebGPU', () => {
  it('works on a card or SwiftShader', async function () {
    const environment = gpuEnvironment();
    if (typeof environment === 'string') skipBecause(this, environment);
    const probe = await probeUnder(environment);
    assert.ok(probe.works, JSON.stringify(probe));
    assert.ok(probe.seconds > 0);
  });

  it('says what to do where there is no driver, and names another engine to who asked for this one', async function () {
    if (process.platform !== 'linux') skipBecause(this, 'the drivers of other systems cannot be hidden');
    const drivers = { VK_ICD_FILENAMES: '/nonexistent.json', VK_DRIVER_FILES: '/nonexistent.json' };
    const nowhere = { ...process.env, ...drivers };
    const probe = await probeUnder(nowhere);
    assert.ok(!probe.works);
    assert.match(probe.reason, /no graphics card was found.*libvulkan1/);
    assert.doesNotMatch(probe.reason, /--engine/);
    const start = `import { createEngine } from ${sourceOf('createEngine.ts')};
      await createEngine('webgpu', 1).catch(error => console.log(error.name, error.message));`;
    assert.match(
      await runUnder(nowhere, start),
      /^EngineError .*no graphics card was found.*libvulkan1.*\. Without a card take --engine cpu\n$/,
    );
  });
});
