/** What the extension host loads as its tests: runs mocha over every bundled test file beside this one. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { format } from 'node:util';
import { TEST_LINE } from '../support/hostLog.ts';

/** Rejects when a test fails, which is how VS Code learns that the tests failed. */
export async function run(): Promise<void> {
  const { default: Mocha } = await import('mocha');
  // The host passes arguments on unformatted, so the line is put together here.
  Mocha.reporters.Base.consoleLog = (...values: unknown[]) => console.log(TEST_LINE + format(...values));
  // By its absolute path: a relative one would count from the server's folder.
  const reporter = process.env.CLIPSELF_TEST_REPORTER ?? 'spec';
  const mocha = new Mocha({ ui: 'bdd', color: false, timeout: 60_000, reporter });
  const files = readdirSync(__dirname).filter(name => name.endsWith('.test.cjs'));
  for (const name of files.sort()) mocha.addFile(join(__dirname, name));
  const failures = await new Promise<number>(resolve => mocha.run(resolve));
  if (failures > 0) throw new Error(`${failures} tests failed in the extension host`);
}
