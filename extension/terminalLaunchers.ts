import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectories, writeAtomically, writeFully } from '../trainer/checkpoints/atomicFile.ts';
import { quoteWord } from '../trainer/shellWord.ts';

/** What `clipself` in a terminal runs. */
export interface TerminalCommandLine {
  /** Folder of the launchers, which goes to the `PATH`. */
  folder: string;
  /** Node, or VS Code's own executable, which behaves as Node under `ELECTRON_RUN_AS_NODE`. */
  executable: string;
  /** Absolute path of the command line's script. */
  script: string;
  /** What the trainers that VS Code starts are told, too. What the terminal sets wins. */
  variables: NodeJS.ProcessEnv;
}

const origin = 'Written by CLIPSelf Lab when VS Code starts; changes are lost.';

const defined = (variables: NodeJS.ProcessEnv): [string, string][] =>
  Object.entries(variables).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));

/** For POSIX shells, those of Windows included. `NODE_OPTIONS` stay: in a terminal they are the user's own. */
export function shellLauncher({ executable, script, variables }: TerminalCommandLine): string {
  const quote = (word: string): string => quoteWord(word, 'linux');
  return [
    '#!/bin/sh',
    `# ${origin}`,
    ...defined(variables).map(
      ([name, value]) => `[ -n "\${${name}+set}" ] || export ${name}=${quote(value)}`,
    ),
    'export ELECTRON_RUN_AS_NODE=1',
    `exec ${quote(executable)} ${quote(script)} "$@"`,
    '',
  ].join('\n');
}

/**
 * For `cmd.exe` and PowerShell. They read batch files in the code page of old, so paths start from the file's own: what
 * they have in common, such as the user's name, need not be written.
 */
export function batchLauncher({ folder, executable, script, variables }: TerminalCommandLine): string {
  const literal = (text: string): string => text.replaceAll('%', '%%');
  const place = (file: string): string => {
    if (!path.win32.isAbsolute(file)) return literal(file);
    const relative = path.win32.relative(folder, file);
    return path.win32.isAbsolute(relative) ? literal(file) : `%~dp0${literal(relative)}`;
  };
  const lines = [
    'setlocal DisableDelayedExpansion',
    ...defined(variables).map(([name, value]) => `if not defined ${name} set "${name}=${place(value)}"`),
    'set "ELECTRON_RUN_AS_NODE=1"',
    `"${place(executable)}" "${place(script)}" %*`,
    'exit /b %ERRORLEVEL%',
  ];
  const isPlain = lines.every(line => /^[\x20-\x7e]*$/.test(line));
  return ['@echo off', `rem ${origin}`, ...(isPlain ? [] : ['chcp 65001 >nul']), ...lines, ''].join('\r\n');
}

/**
 * Writes `clipself` into the folder, executable, and on Windows `clipself.cmd` beside it: neither a VSIX nor a copied folder
 * keeps the modes of its files everywhere. Terminals that are open run the new ones.
 *
 * @throws Error of the system, or FileError, when the folder cannot be written.
 */
export async function writeLaunchers(
  line: TerminalCommandLine,
  platform: NodeJS.Platform = process.platform,
): Promise<void> {
  await makeDirectories(line.folder);
  await replace(path.join(line.folder, 'clipself'), shellLauncher(line));
  if (platform === 'win32') await replace(path.join(line.folder, 'clipself.cmd'), batchLauncher(line));
}

/** Windows replaces no file that runs: one that is right already is left alone. */
async function replace(file: string, text: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => null)) === text) return;
  await writeAtomically(
    file,
    async handle => {
      await writeFully(handle, Buffer.from(text));
      await handle.chmod(0o755);
    },
    { durable: false },
  );
}
