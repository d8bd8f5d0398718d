import { execFile } from 'node:child_process';
import path from 'node:path';
import { inEditorTerms } from './editorTerms.ts';
import { clearLine, trainerEnvironment } from './trainerProcess.ts';

/** Whether an engine works on this machine. */
export interface CheckedEngine {
  engine: string;
  works: boolean;
  /** What it runs on, or why it does not run. */
  detail: string;
}

/** What `auto` has chosen for a model that it has met. */
export interface EngineChoice {
  /** Sizes of the model. */
  model: string;
  engine: string;
  reason: string;
}

export interface EngineCheck {
  engines: CheckedEngine[];
  choices: EngineChoice[];
}

/** Probing a card compiles its first kernels. */
const timeout = 120_000;

/**
 * Runs `clipself doctor`; what it says is in the terms of VS Code.
 *
 * @param remeasure forgets what `auto` remembers.
 * @throws with one clear line when it cannot be run.
 */
export function runEngineCheck(
  extensionFolder: string,
  remeasure: boolean,
  signal: AbortSignal,
): Promise<EngineCheck> {
  const script = path.join(extensionFolder, 'dist', 'trainer', 'cli.js');
  const args = [script, 'doctor', '--json', ...(remeasure ? ['--forget'] : [])];
  const options = { env: trainerEnvironment(process.env), signal, timeout, windowsHide: true };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      // It fails where no engine works, and says which and why all the same.
      const line = stdout.trim().split('\n').at(-1);
      if (line?.startsWith('{')) resolve(worded(JSON.parse(line) as EngineCheck));
      else reject(new Error(clearLine(stderr) ?? error?.message ?? 'clipself doctor said nothing'));
    });
  });
}

const worded = ({ engines, choices }: EngineCheck): EngineCheck => ({
  engines: engines.map(checked => ({ ...checked, detail: inEditorTerms(checked.detail) })),
  choices: choices.map(choice => ({ ...choice, reason: inEditorTerms(choice.reason) })),
});

/** The check as lines of a report. */
export function describeCheck({ engines, choices }: EngineCheck): string[] {
  return [
    ...engines.map(({ engine, works, detail }) => `${works ? '✓' : '✗'} ${engine}: ${detail}`),
    ...choices.map(({ model, engine, reason }) => `auto takes ${engine} for ${model}: ${reason}`),
  ];
}
