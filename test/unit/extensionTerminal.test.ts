import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import {
  batchLauncher,
  type TerminalCommandLine,
  writeLaunchers,
} from '../../extension/terminalLaunchers.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

describe('clipself in a terminal', () => {
  let root: TemporaryFolder;

  beforeEach(async () => {
    root = await temporaryFolder();
  });
  afterEach(() => root.remove());

  /** A command line in folders whose names a shell would take apart, with a script that says what reaches it. */
  async function commandLine(variables: NodeJS.ProcessEnv = {}): Promise<TerminalCommandLine> {
    const home = root.file(`it's "$HOME" & 100% of a \`home\``);
    const executable = path.join(home, 'VS Code', 'node');
    const script = path.join(home, 'extensions', 'cli.cjs');
    for (const file of [executable, script]) await mkdir(path.dirname(file), { recursive: true });
    await symlink(process.execPath, executable);
    await writeFile(
      script,
      `const { ELECTRON_RUN_AS_NODE: node, CLIPSELF_TENSORFLOW: tensorflow } = process.env;
      console.log(JSON.stringify({ args: process.argv.slice(2), node, tensorflow }));
      process.exitCode = 7;`,
    );
    return { folder: path.join(home, 'bin'), executable, script, variables };
  }

  /** What the script saw, started by name as a shell does, and its exit status. */
  async function run({ folder }: TerminalCommandLine, args: string[], environment: NodeJS.ProcessEnv = {}) {
    const env = { PATH: `${folder}${path.delimiter}${process.env.PATH}`, ...environment };
    const outcome = await promisify(execFile)('clipself', args, { env }).then(
      ({ stdout }) => ({ stdout, code: 0 }),
      (error: { stdout: string; code: number }) => error,
    );
    return { seen: JSON.parse(outcome.stdout), code: outcome.code };
  }

  it('runs below folders with spaces and quotes, and hands on arguments and exit status', async function () {
    if (process.platform === 'win32') skipBecause(this, 'Windows runs the batch file, not the shell script');
    const line = await commandLine();
    await writeLaunchers(line);
    assert.equal((await stat(path.join(line.folder, 'clipself'))).mode & 0o777, 0o755);
    const args = ['train', '--images', `it's "my" photos`, '$HOME', '', '*'];
    assert.deepEqual(await run(line, args), { seen: { args, node: '1' }, code: 7 });
  });

  it('is told what other trainers are, unless the terminal says otherwise', async function () {
    if (process.platform === 'win32') skipBecause(this, 'Windows runs the batch file, not the shell script');
    const line = await commandLine({
      CLIPSELF_TENSORFLOW: `/it's/here`,
      CLIPSELF_TENSORFLOW_TF32: undefined,
    });
    await writeLaunchers(line);
    assert.equal((await run(line, [])).seen.tensorflow, `/it's/here`);
    assert.equal((await run(line, [], { CLIPSELF_TENSORFLOW: '/mine' })).seen.tensorflow, '/mine');
    assert.equal((await run(line, [], { CLIPSELF_TENSORFLOW: '' })).seen.tensorflow, '');
  });

  it('is written anew only when it changes, and leaves nothing else behind', async () => {
    const line = await commandLine();
    const file = path.join(line.folder, 'clipself');
    const names = ['clipself', 'clipself.cmd'];
    await writeLaunchers(line, 'win32');
    await utimes(file, 1, 1);
    await writeLaunchers(line, 'win32');
    assert.equal((await stat(file)).mtimeMs, 1000);
    await writeLaunchers({ ...line, script: '/newer/cli.js' }, 'win32');
    assert.match(await readFile(file, 'utf8'), /\/newer\/cli\.js "\$@"/);
    assert.deepEqual((await readdir(line.folder)).sort(), names);
  });

  it('names files from its own folder in the batch file, so that their beginning may be in any script', () => {
    const home = 'C:\\Users\\Jörg';
    const line: TerminalCommandLine = {
      folder: `${home}\\AppData\\Roaming\\Code\\bin`,
      executable: `${home}\\AppData\\Local\\100% VS Code\\Code.exe`,
      script: `${home}\\.vscode\\extensions\\clipself\\cli.js`,
      variables: { CLIPSELF_TENSORFLOW: `${home}\\AppData\\Roaming\\Code\\tensorflow`, OTHER: '1' },
    };
    assert.deepEqual(batchLauncher(line).split('\r\n').slice(2), [
      'setlocal DisableDelayedExpansion',
      'if not defined CLIPSELF_TENSORFLOW set "CLIPSELF_TENSORFLOW=%~dp0..\\tensorflow"',
      'if not defined OTHER set "OTHER=1"',
      'set "ELECTRON_RUN_AS_NODE=1"',
      '"%~dp0..\\..\\..\\Local\\100%% VS Code\\Code.exe" "%~dp0..\\..\\..\\..\\.vscode\\extensions\\clipself\\cli.js" %*',
      'exit /b %ERRORLEVEL%',
      '',
    ]);
    // On another drive there is no way there but its whole name.
    const elsewhere = batchLauncher({ ...line, executable: 'D:\\Größe\\Code.exe' });
    assert.match(elsewhere, /\r\nchcp 65001 >nul\r\n[\s\S]*"D:\\Größe\\Code\.exe" "%~dp0/);
  });
});
