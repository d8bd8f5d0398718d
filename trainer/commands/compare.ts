import path from 'node:path';
import { parseArgs } from 'node:util';
import { type ReadRun, readRun } from '../compare/comparedRun.ts';
import { compareRuns } from '../compare/compareRuns.ts';
import { comparisonText } from '../compare/comparisonText.ts';
import { mostRuns } from '../compare/protocol.ts';
import { summaryFileOf, writeComparisonCsv, writeComparisonLatex } from '../compare/writeComparison.ts';
import { UsageError } from '../usageError.ts';
import { outputOptions } from './commonOptions.ts';

const help = `usage: clipself compare RUN RUN… [--base RUN] [--csv F] [--latex F] [--json]

Compares two to six run directories: the settings in which they differ and nothing else, and the twelve numbers of each
run's last evaluation with their differences to a base run. A run that cannot be read says so in its column.

  --base RUN   the run that the others are compared with; the first without it
  --csv F      everything that the runs measured, a line a value: run, step, epoch, metric, value; beside it
               F.summary.csv has one line a run
  --latex F    a table shaped like the paper's tables 1 and 2, for the package booktabs`;

/** `clipself compare`. */
export async function compareCommand(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      base: { type: 'string' },
      csv: { type: 'string' },
      latex: { type: 'string' },
      ...outputOptions,
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const directories = positionals.map(directory => path.resolve(directory));
  const base = baseOf(directories, values.base);
  const runs = await Promise.all(directories.map(readRun));
  if (runs.every(({ problem }) => problem !== null)) throw new UsageError(reasonsOf(runs));
  const comparison = compareRuns(runs, base);
  const written: string[] = [];
  if (values.csv !== undefined) {
    await writeComparisonCsv(values.csv, runs, comparison);
    written.push(values.csv, summaryFileOf(values.csv));
  }
  if (values.latex !== undefined) {
    await writeComparisonLatex(values.latex, comparison);
    written.push(values.latex);
  }
  if (values.json) console.log(JSON.stringify(comparison));
  else console.log([comparisonText(comparison), ...written.map(file => `written: ${file}`)].join('\n'));
}

/** @throws UsageError when the runs or the base cannot be meant. */
function baseOf(directories: readonly string[], base: string | undefined): number {
  if (directories.length < 2 || directories.length > mostRuns)
    throw new UsageError(
      `compare takes two to ${mostRuns} run directories, not ${directories.length} (clipself compare --help)`,
    );
  const twice = directories.find((directory, index) => directories.indexOf(directory) !== index);
  if (twice !== undefined) throw new UsageError(`${twice} is named twice`);
  const position = base === undefined ? 0 : directories.indexOf(path.resolve(base));
  if (position < 0) throw new UsageError(`--base ${base} is none of the runs that are compared`);
  return position;
}

const reasonsOf = (runs: readonly ReadRun[]): string =>
  `none of the runs can be read: ${runs.map(({ problem }) => problem).join('; ')}`;
