import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { EngineCheck } from '../../extension/engineCheck.ts';
import { offlineNpm, offlinePip, type PlayedTools, playTools } from '../support/setupTools.ts';

/** Set by whoever starts this host; the folder does not exist. */
const folder = process.env.CLIPSELF_TENSORFLOW!;

describe('engines from the extension host', function () {
  this.timeout(120_000);
  const { PATH } = process.env;
  let tools: string;

  beforeEach(async () => {
    tools = await mkdtemp(path.join(tmpdir(), 'clipself-tools-'));
  });
  afterEach(async () => {
    process.env.PATH = PATH;
    await rm(tools, { recursive: true });
  });

  async function install(played: PlayedTools): Promise<unknown> {
    process.env.PATH = await playTools(path.join(tools, 'bin'), played);
    return vscode.commands.executeCommand('clipself.installCudaEngine', { libraries: 'cpu' });
  }

  it('leaves nothing of an installation that fails without a network', async () => {
    const tried = install({ python3: offlinePip, npm: offlineNpm });
    await assert.rejects(tried, /^Error: python3 could not reach its package index: check the network/);
    assert.ok(!existsSync(folder) && !existsSync(`${folder}.partial`));
  });

  it('says what is missing where there is neither pip nor npm', async () => {
    await assert.rejects(install({}), /Python with pip is needed.*npm is needed and is not installed here/);
    assert.ok(!existsSync(folder) && !existsSync(`${folder}.partial`));
  });

  it('removes nothing where nothing is installed, and takes no other argument', async () => {
    const call = async (argument: unknown): Promise<unknown> =>
      vscode.commands.executeCommand('clipself.installCudaEngine', argument);
    await assert.rejects(call({ remove: true }), /TensorFlow is not installed in/);
    await assert.rejects(call({ libraries: 'rocm' }), /takes \{"libraries": "cpu"\|"cuda"\}/);
  });

  it('tries each engine, and says why TensorFlow does not work', async () => {
    let check: EngineCheck | undefined;
    const checking = vscode.commands.executeCommand<EngineCheck>('clipself.checkEngines');
    void checking.then(result => {
      check = result;
    });
    // It ends when its list is closed, which opens once all were tried.
    while (check === undefined) {
      await vscode.commands.executeCommand('workbench.action.closeQuickOpen');
      await sleep(200);
    }
    const found = Object.fromEntries(check.engines.map(({ engine, ...rest }) => [engine, rest]));
    assert.ok(found.cpu?.works, JSON.stringify(check));
    assert.equal(found.tensorflow?.works, false);
    assert.ok(found.tensorflow?.detail.includes(`TensorFlow is not installed in ${folder}`));
    assert.ok('webgpu' in found);
  });
});
