/** Installs the real VS Code of the tests, once for each state of its lock file. */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { missingPrerequisite, nestedPackage } from './browserPrerequisites.ts';

/** Throws when npm fails; does nothing when the installed packages are those of the lock file. */
export function installNestedPackage(): void {
  const lock = createHash('sha256')
    .update(readFileSync(join(nestedPackage, 'package-lock.json')))
    .digest('hex');
  const stamp = join(nestedPackage, 'node_modules/.installed-lock');
  const installed = existsSync(stamp) && readFileSync(stamp, 'utf8') === lock;
  if (installed && !missingPrerequisite()) return;
  console.log('installing the VS Code of the tests (about 550 MB) under test/e2e/node_modules');
  runThere('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  runThere(process.execPath, ['prepare-server.mjs']);
  writeFileSync(stamp, lock);
}

function runThere(program: string, parameters: string[]): void {
  const { status, error } = spawnSync(program, parameters, { cwd: nestedPackage, stdio: 'inherit' });
  if (status === 0) return;
  throw new Error(
    `"${program} ${parameters.join(' ')}" in test/e2e ${error ? `could not start: ${error.message}` : `ended with exit status ${status}`}`,
  );
}
