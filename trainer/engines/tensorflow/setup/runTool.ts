import { spawn } from 'node:child_process';

/** TensorFlow could not be installed; the message says why and what to do. */
export class SetupError extends Error {
  override readonly name = 'SetupError';
}

/** A program that is not on this machine. */
export class MissingToolError extends SetupError {}

export class SetupCancelledError extends SetupError {}

interface ToolOptions {
  cwd: string;
  signal: AbortSignal;
  environment?: NodeJS.ProcessEnv;
  /** Told what the program writes, as it comes. */
  heard?: (text: string) => void;
}

const outputLimit = 64 * 1024;

/**
 * Runs a program to its end.
 *
 * @returns what it wrote to standard output.
 * @throws MissingToolError when there is no such program, SetupError when it fails, SetupCancelledError when aborted.
 */
export function runTool(
  program: string,
  args: readonly string[],
  { cwd, signal, environment = process.env, heard }: ToolOptions,
): Promise<string> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new SetupCancelledError('cancelled'));
      return;
    }
    const child = spawn(program, args, {
      cwd,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
      // Windows starts npm, which is a script there, through its shell only; no argument holds a path.
      shell: process.platform === 'win32' && program === 'npm',
    });
    let [stdout, all] = ['', ''];
    const take = (text: string): void => {
      all = (all + text).slice(-outputLimit);
      heard?.(text);
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout = (stdout + text).slice(-outputLimit);
      take(text);
    });
    child.stderr.setEncoding('utf8').on('data', take);
    const cancel = (): void => {
      child.kill('SIGTERM');
    };
    signal.addEventListener('abort', cancel, { once: true });
    child.once('error', error => {
      signal.removeEventListener('abort', cancel);
      const missing = 'code' in error && error.code === 'ENOENT';
      reject(
        missing ? new MissingToolError(`${program} is not installed here`) : new SetupError(error.message),
      );
    });
    child.once('close', status => {
      signal.removeEventListener('abort', cancel);
      if (signal.aborted) reject(new SetupCancelledError('cancelled'));
      else if (status === 0) resolve(stdout);
      else reject(new SetupError(failureOf(program, all)));
    });
  });
}

const offline =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ETIMEDOUT|NewConnectionError|ConnectTimeout|Max retries exceeded|Temporary failure in name resolution|Name or service not known|ProxyError/;

/** One line for what went wrong, from all that a program printed. */
export function failureOf(program: string, output: string): string {
  if (/ENOSPC|No space left on device/.test(output)) return 'the disk is full: free some space and try again';
  if (offline.test(output))
    return `${program} could not reach its package index: check the network connection (or its proxy and index settings) and try again`;
  const lines = output
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !/^(npm )?(warn|notice)|^\[notice\]/i.test(line));
  const telling = lines.find(line => /\berror\b/i.test(line)) ?? lines.at(-1) ?? 'it said nothing';
  return `${program} failed: ${telling.slice(0, 300)}`;
}
