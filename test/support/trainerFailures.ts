/** What a failing trainer owes its user: one line, the right exit status, and nothing lost. */

import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Ended, runTrainer } from './trainingFixture.ts';

/** A pattern that matches the text itself. */
export const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** The line about a file: its path, then `rest`, a regular expression. */
export const lineAbout = (file: string, rest: string): RegExp =>
  new RegExp(`^clipself: ${escaped(file)}: ${rest}`);

/** A failure says one line that begins with `clipself: `; only warnings and progress may precede it. */
export function assertFailure({ status, stdout, stderr }: Ended, expected: number, pattern: RegExp): void {
  assert.equal(status, expected, stderr);
  assert.equal(stdout, '');
  const lines = stderr.trimEnd().split('\n');
  assert.deepEqual(
    lines.filter(line => line.startsWith('clipself: ')),
    lines.slice(-1),
    stderr,
  );
  assert.match(lines.at(-1)!, pattern);
  for (const line of lines.slice(0, -1))
    assert.match(line, /^(warning: |engine |memory budget |step |comparing |resumed after |epoch )/);
}

/** `clipself train` with these arguments says one line and nothing else. */
export async function assertRefused(args: readonly string[], pattern: RegExp, status = 1): Promise<void> {
  const ended = await runTrainer(args);
  assertFailure(ended, status, pattern);
  assert.equal(ended.stderr.trimEnd().split('\n').length, 1, ended.stderr);
}

/** The content of every file of a run except those that tell of a failure. */
async function runContents(directory: string): Promise<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const name of (await readdir(directory, { recursive: true })).sort()) {
    const file = path.join(directory, name);
    if (['log.txt', 'metrics.jsonl'].includes(name) || !(await stat(file)).isFile()) continue;
    result[name] = (await readFile(file)).toString('base64');
  }
  return result;
}

/** The work leaves every file of the run as it was, apart from its records. */
export async function assertUntouched(directory: string, work: () => Promise<void>): Promise<void> {
  const before = await runContents(directory);
  await work();
  assert.deepEqual(await runContents(directory), before);
}
