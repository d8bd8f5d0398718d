import path from 'node:path';
import { writeAtomically, writeFully, writeText } from '../checkpoints/atomicFile.ts';
import type { ReadRun } from './comparedRun.ts';
import { curvesCsv, latexTable, summaryCsv } from './comparisonTables.ts';
import { runCurves } from './curves.ts';
import type { RunComparison, RunCurves } from './protocol.ts';

/** Name of the summary that belongs to a table of everything. */
export const summaryFileOf = (file: string): string => `${file.replace(/\.csv$/i, '')}.summary.csv`;

/** Names and curves of the runs that could be read. */
function namedCurves(
  runs: readonly ReadRun[],
  comparison: RunComparison,
): { name: string; curves: RunCurves }[] {
  return runs.flatMap((run, index) => {
    if (run.problem !== null) return [];
    const { stepsPerEpoch } = run.configuration.configuration;
    return [{ name: comparison.runs[index]!.name, curves: runCurves(run.history, stepsPerEpoch) }];
  });
}

/**
 * Writes everything that the runs measured, and beside it the summary (`summaryFileOf`).
 *
 * @throws FileError
 */
export async function writeComparisonCsv(
  file: string,
  runs: readonly ReadRun[],
  comparison: RunComparison,
): Promise<void> {
  await writeAtomically(path.resolve(file), async handle => {
    // Pieces of a step are a few hundred bytes: they go to the disk together.
    let text = '';
    for (const piece of curvesCsv(namedCurves(runs, comparison))) {
      text += piece;
      if (text.length < 1 << 20) continue;
      await writeFully(handle, Buffer.from(text));
      text = '';
    }
    await writeFully(handle, Buffer.from(text));
  });
  await writeText(path.resolve(summaryFileOf(file)), summaryCsv(comparison));
}

/** @throws FileError */
export const writeComparisonLatex = (file: string, comparison: RunComparison): Promise<void> =>
  writeText(path.resolve(file), latexTable(comparison));
