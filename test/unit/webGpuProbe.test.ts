import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { WebGpuProbe } from '../../trainer/engines/onnx/webGpuProbe.ts';
import { skipBecause } from '../support/skip.ts';
import { gpuEnvironment } from '../support/softwareGpu.ts';

/** What the probe says in a process of that environment. */
async function probeUnder(environment: NodeJS.ProcessEnv): Promise<WebGpuProbe> {
  const source = new URL('../../trainer/engines/onnx/webGpuProbe.ts', import.meta.url);
  const program = `import { probeWebGpu } from ${JSON.stringify(fileURLToPath(source))};
    console.log(JSON.stringify(await probeWebGpu()));`;
  const args = ['--import=tsx', '--input-type=module', '-e', program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: environment });
  return JSON.parse(stdout) as WebGpuProbe;
}

describe('the probe of WebGPU', () => {
  it('works on a card or SwiftShader', async function () {
    const environment = gpuEnvironment();
    if (typeof environment === 'string') skipBecause(this, environment);
    const probe = await probeUnder(environment);
    assert.ok(probe.works, JSON.stringify(probe));
    assert.ok(probe.seconds > 0);
  });

  it('says what to do where there is no driver', async function () {
    if (process.platform !== 'linux') skipBecause(this, 'the drivers of other systems cannot be hidden');
    const nowhere = { VK_ICD_FILENAMES: '/nonexistent.json', VK_DRIVER_FILES: '/nonexistent.json' };
    const probe = await probeUnder({ ...process.env, ...nowhere });
    assert.ok(!probe.works);
    assert.match(probe.reason, /no graphics card was found.*libvulkan1.*--engine cpu/);
  });
});
