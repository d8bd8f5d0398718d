/** A comparison as text for other programs: CSV, and a LaTeX table shaped like the paper's tables 1 and 2. */

import type { TwelveNumberName } from '../evaluate/protocol.ts';
import { escapeLatex, toCsv } from '../tables.ts';
import {
  type ComparedRun,
  type KnownNumbers,
  type RunComparison,
  type RunCurves,
  stepMetrics,
} from './protocol.ts';

const exact = (value: number | null | undefined): string =>
  value === null || value === undefined ? '' : String(value);

/**
 * Everything that runs measured, a line a value: run, step, epoch (with fractions), metric, value. Values that are not
 * finite are left out.
 *
 * @param runs Names and curves.
 * @returns Pieces of the text, in order.
 */
export function* curvesCsv(runs: readonly { name: string; curves: RunCurves }[]): Generator<string> {
  yield toCsv([['run', 'step', 'epoch', 'metric', 'value']]);
  for (const { name, curves } of runs) {
    for (const row of curves.steps) {
      const place = [name, String(row.step), String(row.epoch)];
      const lines = stepMetrics.flatMap(metric =>
        row[metric] === null ? [] : [[...place, metric, String(row[metric])]],
      );
      yield toCsv(lines);
    }
    for (const { step, epoch, values } of curves.evaluations)
      yield toCsv(
        Object.entries(values).map(([metric, value]) => [
          name,
          String(step),
          String(epoch),
          metric,
          String(value),
        ]),
      );
  }
}

/** One line a run: where it stands, the twelve numbers, their differences to the base run, and settings that differ. */
export function summaryCsv({ runs, base, numbers, settings }: RunComparison): string {
  const headings = [
    'run',
    'directory',
    'problem',
    'state',
    'step',
    'totalSteps',
    'method',
    'regions',
    'loss',
  ];
  const table = [
    [
      ...[...headings, 'heldOut.cosine', 'base'],
      ...numbers.map(({ name }) => name),
      ...numbers.map(({ name }) => `${name} difference`),
      ...settings.map(({ name }) => `setting ${name}`),
    ],
  ];
  for (const [at, run] of runs.entries()) {
    const { name, directory, problem, state, step, totalSteps, method, regions } = run;
    table.push([
      ...[name, directory, problem ?? '', state ?? '', exact(problem === null ? step : null)],
      ...[exact(problem === null ? totalSteps : null), method ?? '', regions ?? '', exact(run.loss)],
      ...[exact(run.heldOutCosine), at === base ? 'yes' : ''],
      ...numbers.map(({ values }) => exact(values[at])),
      ...numbers.map(({ differences }) => exact(differences[at])),
      ...settings.map(({ values }) => values[at] ?? (problem === null ? 'not set' : '')),
    ]);
  }
  return toCsv(table);
}

const methodNames: Readonly<Record<string, string>> = {
  clipself: 'CLIPSelf',
  regionclip: 'Region--text',
  pretrain: 'Pre-training',
};

const regionNames: Readonly<Record<string, string>> = {
  grid: 'image patches',
  proposals: 'region proposals',
  'boxes-file': 'boxes of a file',
};

/** The columns of the paper's table 1. */
const columns: readonly TwelveNumberName[] = [
  'rois.thing.macc1',
  'rois.thing.macc5',
  'maskpool.thing.macc1',
  'maskpool.thing.macc5',
  'maskpool.stuff.macc1',
  'maskpool.stuff.macc5',
];

const missing = '--';

const latexRow = (cells: readonly string[], numbers: KnownNumbers): string => {
  const values = columns.map(name => {
    const value = numbers[name];
    return value === undefined ? missing : (value * 100).toFixed(1);
  });
  return `${[...cells, ...values].join(' & ')} \\\\`;
};

/**
 * A row for each model that runs started from and that was evaluated before training, then a row a run: method,
 * regions, and mAcc in percent of boxes, masks of things and masks of stuff. Needs the package `booktabs`.
 */
export function latexTable({ runs }: RunComparison): string {
  const originals = originalRows(runs);
  return [
    '% mAcc in percent, last evaluation of each run: boxes (RoIAlign), masks of things, masks of stuff',
    '\\begin{tabular}{lllcccccc}',
    '\\toprule',
    ' & & & \\multicolumn{2}{c}{Boxes} & \\multicolumn{2}{c}{Masks-T} & \\multicolumn{2}{c}{Masks-S} \\\\',
    '\\cmidrule(lr){4-5} \\cmidrule(lr){6-7} \\cmidrule(lr){8-9}',
    'Run & Method & Regions & Top1 & Top5 & Top1 & Top5 & Top1 & Top5 \\\\',
    '\\midrule',
    ...originals,
    ...(originals.length > 0 ? ['\\midrule'] : []),
    ...runs.map(({ name, method, regions, numbers }) =>
      latexRow(
        [
          escapeLatex(name),
          method === null ? missing : (methodNames[method] ?? escapeLatex(method)),
          regions === null ? missing : (regionNames[regions] ?? escapeLatex(regions)),
        ],
        numbers,
      ),
    ),
    '\\bottomrule',
    '\\end{tabular}',
    '',
  ].join('\n');
}

/** Each original once, however many runs started from it. */
function originalRows(runs: readonly ComparedRun[]): string[] {
  const seen = new Set<string>();
  return runs.flatMap(({ model, numbersBefore }) => {
    if (model === null || Object.keys(numbersBefore).length === 0 || seen.has(model.sha256)) return [];
    seen.add(model.sha256);
    return [latexRow([escapeLatex(model.name), 'original', missing], numbersBefore)];
  });
}
