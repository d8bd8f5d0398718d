import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import type { RunComparison } from '../../trainer/compare/protocol.ts';
import { stepRecord, TestRun } from '../support/runDirectories.ts';

describe('comparing runs from the extension host', function () {
  this.timeout(120_000);
  const workspace = (): string => vscode.workspace.workspaceFolders![0]!.uri.fsPath;

  it('opens a panel and returns the comparison', async () => {
    const runs = await Promise.all(
      ['compared-a', 'compared-b'].map(name => TestRun.create(path.join(workspace(), 'runs', name))),
    );
    try {
      for (const [index, run] of runs.entries()) run.write(stepRecord(1, 0.5 - 0.1 * index));
      const directories = runs.map(({ directory }) => directory);
      const comparison = await vscode.commands.executeCommand<RunComparison>(
        'clipself.compareRuns',
        directories,
      );
      assert.deepEqual(
        comparison.runs.map(({ directory, loss }) => [directory, loss]),
        [
          [directories[0], 0.5],
          [directories[1], 0.4],
        ],
      );
      const tabs = () => vscode.window.tabGroups.all.flatMap(group => group.tabs);
      const shown = () => tabs().find(({ label }) => label === 'Compare: compared-a, compared-b');
      for (let wait = 0; wait < 100 && shown() === undefined; wait++) await sleep(50);
      assert.ok(shown(), `tabs: ${tabs().map(({ label }) => label)}`);
      await vscode.window.tabGroups.close(shown()!);
    } finally {
      for (const run of runs) await run.remove();
    }
  });

  it('tells a program that one run is not enough', async () => {
    await assert.rejects(
      async () => vscode.commands.executeCommand('clipself.compareRuns', [path.join(workspace(), 'runs/x')]),
      /two to six run directories/,
    );
  });

  it('proposes regions of a folder', async () => {
    const images = path.join(workspace(), 'images');
    const out = await vscode.commands.executeCommand<string>('clipself.propose', { images });
    assert.equal(path.dirname(out), path.join(workspace(), 'regions'));
    const { annotations } = JSON.parse(await readFile(out, 'utf8')) as { annotations: unknown[] };
    assert.ok(annotations.length > 100);
  });
});
