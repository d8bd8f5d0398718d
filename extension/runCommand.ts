import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { clearLine, trainerEnvironment } from './trainerProcess.ts';

/** The user gave a command up; what it leaves behind then is its own matter. */
export class CommandCancelledError extends Error {
  override readonly name = 'CommandCancelledError';
}

/**
 * Runs a command of `clipself` to its end with VS Code's own Node. Aborting asks it to stop (SIGTERM).
 *
 * @param script Absolute path of the command line's script.
 * @param what What fails when it fails, to begin a sentence.
 * @param said Told each line that it writes to standard error.
 * @returns What it wrote to standard output.
 * @throws CommandCancelledError, or an Error with the command's own clear line.
 */
export function runCommand(
  script: string,
  args: readonly string[],
  what: string,
  said: (line: string) => void,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: trainerEnvironment(process.env),
      windowsHide: true,
    });
    let stdout = '';
    let lastLine = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    createInterface({ input: child.stderr }).on('line', line => {
      lastLine = line;
      said(line);
    });
    const cancel = () => child.kill('SIGTERM');
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    child.once('error', reject);
    child.once('close', status => {
      signal.removeEventListener('abort', cancel);
      if (signal.aborted) reject(new CommandCancelledError(`${what} was cancelled.`));
      else if (status === 0) resolve(stdout);
      else reject(new Error(clearLine(lastLine) ?? `${what} ended with status ${status}.`));
    });
  });
}
