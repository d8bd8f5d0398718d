import { spawn } from 'node:child_process';
import path from 'node:path';
import { clearLine, trainerEnvironment } from './trainerProcess.ts';

/** How far an evaluation is. */
export interface EvaluationProgress {
  /** Percent of the images; null while none is counted. */
  percent: number | null;
  /** The command's own line. */
  message: string;
}

export interface EvaluationLaunch {
  /** What fails when it fails, as the beginning of a sentence. */
  what: string;
  /** Node, or VS Code's own executable, which behaves as Node under `ELECTRON_RUN_AS_NODE`. */
  executable: string;
  /** Absolute path of the command line's script. */
  script: string;
  args: string[];
}

/** Only the end of what a process says is kept. */
const mostOutput = 64 * 1024;

/** `image 12/400  0:42 left` as progress; other lines have no share. */
export function progressOf(line: string): EvaluationProgress {
  const counted = /^image (\d+)\/(\d+)/.exec(line);
  return { percent: counted ? (100 * Number(counted[1])) / Number(counted[2]) : null, message: line };
}

/**
 * Runs a command of `clipself` that goes from image to image to its end. Aborting asks it to finish the image and to stop
 * (SIGTERM); what is done stays.
 *
 * @returns whether it finished.
 * @throws Error with its own clear line when it fails.
 */
export function runEvaluation(
  { executable, script, args, what }: EvaluationLaunch,
  signal: AbortSignal,
  report: (progress: EvaluationProgress) => void,
): Promise<'finished' | 'stopped'> {
  return new Promise((resolve, reject) => {
    const child = spawn(executable, [script, ...args], {
      windowsHide: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: path.dirname(script),
      env: trainerEnvironment(process.env),
    });
    const abort = (): void => void child.kill('SIGTERM');
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    let [output, problems] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-mostOutput);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      problems = (problems + text).slice(-mostOutput);
      const line = text.split(/[\r\n]+/).findLast(part => part.trim() !== '');
      if (line) report(progressOf(line.trim()));
    });
    child.once('error', error => reject(new Error(`${what} could not be started: ${error.message}`)));
    child.once('close', (status, ended) => {
      signal.removeEventListener('abort', abort);
      if (status === 0) return resolve(/"state":"stopped"/.test(output) ? 'stopped' : 'finished');
      // Windows has no gentle way to ask.
      if (signal.aborted) return resolve('stopped');
      const reason = ended ? `it was ended by ${ended}` : `it ended with status ${status}`;
      reject(new Error(clearLine(problems) ?? `${what} failed: ${reason}.`));
    });
  });
}
