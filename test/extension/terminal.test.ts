import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import { settingKeys } from '../../extension/identifiers.ts';
import { version } from '../../trainer/version.ts';

describe('clipself in the terminals of VS Code', function () {
  this.timeout(60_000);
  const key = settingKeys.terminalAddToPath;
  let folder: string;
  let count = 0;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'clipself-terminal-'));
    await vscode.extensions.getExtension('clipself-lab.clipself-lab')!.activate();
  });
  afterEach(() =>
    vscode.workspace.getConfiguration().update(key, undefined, vscode.ConfigurationTarget.Workspace),
  );
  after(() => rm(folder, { recursive: true }));

  /** What a new terminal's shell writes. */
  async function inTerminal(command: string): Promise<string> {
    const file = path.join(folder, `${++count}.txt`);
    const terminal = vscode.window.createTerminal({ shellPath: '/bin/sh', cwd: folder });
    try {
      terminal.sendText(`{ ${command}; echo end; } > '${file}' 2>&1`);
      for (;;) {
        const said = await readFile(file, 'utf8').catch(() => '');
        if (said.endsWith('end\n')) return said.slice(0, -'end\n'.length).trim();
        await sleep(50);
      }
    } finally {
      terminal.dispose();
    }
  }

  /** Settings reach terminals that open soon after, not at once. */
  async function whereFound(expected: RegExp): Promise<string> {
    for (;;) {
      const said = await inTerminal('command -v clipself || echo nowhere');
      if (expected.test(said)) return said;
    }
  }

  it('runs the command line that ships, with the Node of VS Code', async () => {
    const launcher = await whereFound(/clipself-lab\.clipself-lab\/bin\/clipself$/);
    assert.ok((await readFile(launcher, 'utf8')).includes(process.execPath));
    assert.equal(await inTerminal('clipself --version'), version);
    assert.match(await inTerminal('clipself train --nonsense'), /^clipself: Unknown option '--nonsense'/);
  });

  it('is gone from terminals where the setting says so, and comes back', async () => {
    const configuration = vscode.workspace.getConfiguration();
    await configuration.update(key, false, vscode.ConfigurationTarget.Workspace);
    await whereFound(/^nowhere$/);
    await configuration.update(key, true, vscode.ConfigurationTarget.Workspace);
    await whereFound(/\/bin\/clipself$/);
  });
});
