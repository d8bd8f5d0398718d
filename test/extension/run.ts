/**
 * Bundles the tests of this folder, or those whose names begin with an argument, and runs them inside the extension host
 * of a real VS Code, with the repository as the extension under development and a workspace that holds the sample images.
 *
 *     npx tsx test/extension/run.ts [engines]
 */

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { HostTestOptions } from '../e2e/support/hostTestOptions.ts';
import { type SlurmCluster, startCluster } from '../slurm/cluster.ts';
import { missingPrerequisite, repositoryRoot } from '../support/browserPrerequisites.ts';
import { sampleWorkspace } from '../support/sampleWorkspace.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

/** Milliseconds for all tests of the extension host together. */
const TIMEOUT = 15 * 60_000;

const outputFolder = join(repositoryRoot, 'dist/test/extension');

async function bundleTests(): Promise<string> {
  const sources = join(repositoryRoot, 'test/extension');
  const chosen = process.argv.slice(2);
  const tests = (await readdir(sources))
    .filter(name => name.endsWith('.test.ts'))
    .filter(name => chosen.length === 0 || chosen.some(part => name.startsWith(part)));
  await rm(outputFolder, { recursive: true, force: true });
  await build({
    entryPoints: ['index.ts', ...tests].map(name => join(sources, name)),
    outdir: outputFolder,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    packages: 'external',
    external: ['vscode'],
    logLevel: 'warning',
  });
  return join(outputFolder, 'index.cjs');
}

/** The module needs the nested package's types, which a checkout without it does not have: hence no static import. */
async function loadRunner(): Promise<(options: HostTestOptions) => Promise<number>> {
  const url = new URL('../e2e/support/extensionHost.ts', import.meta.url).href;
  const { runInExtensionHost } = await import(url);
  return runInExtensionHost;
}

async function main(): Promise<number> {
  const reason = missingPrerequisite();
  if (reason) {
    console.log(reason);
    return 0;
  }
  const workspace = await sampleWorkspace();
  const clusterFolder = await temporaryFolder();
  let cluster: SlurmCluster | null = null;
  try {
    const started = await startCluster(clusterFolder);
    if (typeof started === 'string') console.log(`Slurm jobs from VS Code are skipped: ${started}`);
    else cluster = started;
    const runInExtensionHost = await loadRunner();
    return await runInExtensionHost({
      extensionPath: repositoryRoot.replace(/\/$/, ''),
      testsPath: await bundleTests(),
      workspaceFolder: workspace.path,
      environment: {
        ...cluster?.environment,
        CLIPSELF_TEST_REPORTER: join(repositoryRoot, 'test/support/countingReporter.cjs'),
        // Nothing of the user's: a test tries to install there.
        CLIPSELF_TENSORFLOW: join(workspace.path, 'none', 'tensorflow'),
      },
      timeout: TIMEOUT,
    });
  } finally {
    await cluster?.stop();
    await clusterFolder.remove();
    await workspace.remove();
  }
}

process.exitCode = await main();
