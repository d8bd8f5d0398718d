import type { ComparedRun, RunComparison } from './protocol.ts';

/** A comparison as the terminal prints it. */
export function comparisonText({ runs, base, settings, numbers }: RunComparison): string {
  const heads = ['', ...runs.map(({ name }, index) => (index === base ? `${name} (base)` : name))];
  const blocks = [aligned([heads, ['state', ...runs.map(stateOf)], ['loss', ...runs.map(lossOf)]])];
  const problems = runs.filter(({ problem }) => problem !== null);
  if (problems.length > 0) blocks.push(problems.map(({ name, problem }) => `${name}: ${problem}`).join('\n'));
  const cell = (run: ComparedRun, text: string | null): string =>
    text ?? (run.problem === null ? 'not set' : '');
  blocks.push(
    settings.length === 0
      ? 'no setting differs'
      : aligned([
          heads,
          ...settings.map(({ name, values }) => [name, ...values.map((text, at) => cell(runs[at]!, text))]),
        ]),
  );
  const evaluated = numbers.filter(({ values }) => values.some(value => value !== null));
  blocks.push(
    evaluated.length === 0
      ? 'none of the runs was evaluated on regions'
      : aligned([
          ['mAcc, percent', ...heads.slice(1)],
          ...evaluated.map(({ name, values, differences }) => [
            name,
            ...values.map((value, at) => `${percent(value)}${difference(differences[at] ?? null)}`),
          ]),
        ]),
  );
  return blocks.join('\n\n');
}

const stateOf = ({ problem, state, step, totalSteps }: ComparedRun): string =>
  problem === null ? `${state} at ${step}/${totalSteps}` : 'cannot be read';

const lossOf = ({ loss }: ComparedRun): string => (loss === null ? '–' : loss.toPrecision(6));

const percent = (value: number | null): string => (value === null ? '–' : (value * 100).toFixed(1));

/** ` (+1.2)` in percentage points; empty where there is nothing to compare with. */
function difference(value: number | null): string {
  if (value === null) return '';
  const points = (value * 100).toFixed(1).replace('-0.0', '0.0');
  return ` (${value > 0 && points !== '0.0' ? '+' : ''}${points})`;
}

/** Columns as wide as their widest cell, two spaces apart. */
function aligned(table: readonly (readonly string[])[]): string {
  const widths = table[0]!.map((_, column) => Math.max(...table.map(row => row[column]!.length)));
  return table
    .map(row =>
      row
        .map((text, column) => text.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
