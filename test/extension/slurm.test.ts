import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { summariseRun } from '../../trainer/runs/runSummary.ts';
import { skipBecause } from '../support/skip.ts';

/** Milliseconds that a job may take to begin on a slow machine. */
const PATIENCE = 90_000;

/** On the cluster that `run.ts` sets up. */
describe('a Slurm job from the extension host', function () {
  this.timeout(2 * PATIENCE);
  let run: string;

  const stepsOf = async (): Promise<number> =>
    (await readMetricHistory(path.join(run, 'metrics.jsonl'))).steps.length;
  const queue = (): string => execFileSync('squeue', ['--me', '--noheader'], { encoding: 'utf8' });

  async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      if (await holds()) return;
      await sleep(200);
    }
    throw new Error(`waited in vain for ${what}`);
  }

  function request(slurm: Record<string, unknown>, settings: Record<string, unknown> = {}) {
    const extension = vscode.extensions.getExtension('clipself-lab.clipself-lab')!.extensionPath;
    const workspace = vscode.workspace.workspaceFolders![0]!.uri.fsPath;
    return {
      model: path.join(extension, 'media/demo/model'),
      images: path.join(workspace, 'images'),
      preset: 'demo',
      settings: { batch: 1, epochs: 200, engine: 'cpu', ...settings },
      slurm: { tasksPerNode: 2, cpusPerTask: 1, time: '10', mpi: 'pmix', ...slurm },
    };
  }

  before(function () {
    if (process.env.SLURM_CONF === undefined)
      skipBecause(this, 'no cluster was set up: it needs Debian’s slurm-wlm, munge and libpmix-dev');
  });

  it('is handed in, and its run is followed by the panel', async () => {
    run = await vscode.commands.executeCommand<string>('clipself.fineTuneOnSlurm', request({}));
    assert.match(await readFile(`${run}.sbatch`, 'utf8'), /#SBATCH --ntasks-per-node=2\n/);
    await until('three steps on two ranks', async () => existsSync(run) && (await stepsOf()) >= 3);
    assert.ok(existsSync(path.join(run, 'log-rank-1.txt')));
    const panels = (): vscode.Tab[] =>
      vscode.window.tabGroups.all
        .flatMap(group => group.tabs)
        .filter(
          ({ input, label }) => input instanceof vscode.TabInputWebview && label.includes(path.basename(run)),
        );
    await until('the panel', () => panels().length === 1);
  });

  it('stops after its step and is not queued again', async () => {
    await vscode.commands.executeCommand('clipself.stop', run);
    await until('the end of the run', async () => (await summariseRun(run)).state === 'stopped');
    await until('the end of the job', () => queue() === '');
  });

  it('is cancelled', async () => {
    run = await vscode.commands.executeCommand<string>('clipself.fineTuneOnSlurm', request({}));
    await vscode.commands.executeCommand('clipself.cancelJob', run);
    await until('the end of the job', () => queue() === '');
  });

  it('tells the caller in one sentence what Slurm refuses', async () => {
    const call = (slurm: Record<string, unknown>) =>
      Promise.resolve(vscode.commands.executeCommand('clipself.fineTuneOnSlurm', request(slurm)));
    await assert.rejects(call({ partition: 'nowhere' }), /the job was refused: .*[Ii]nvalid partition/);
    await assert.rejects(call({ time: 'soon' }), /clipself\.slurm\.time takes minutes/);
  });
});
