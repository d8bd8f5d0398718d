import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * A Python with PyTorch: the one that CLIPSELF_PEER_PYTHON names, or `python3`. Null when there is none, so that a test
 * can say so and skip.
 */
export async function findPeerPython(): Promise<string | null> {
  for (const python of [process.env.CLIPSELF_PEER_PYTHON, 'python3']) {
    if (!python) continue;
    try {
      await run(python, ['-c', 'import torch']);
      return python;
    } catch {
      // Not this one: no such program, or no PyTorch.
    }
  }
  return null;
}

/** Runs a Python program; its standard output. */
export async function runPython(python: string, program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(python, ['-c', program, ...args], { maxBuffer: 1 << 24 });
  return stdout;
}
