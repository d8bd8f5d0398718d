/** Tables and rows that are taken away from the panel, as text. */

import { classKinds, type RegionReading, regionReadings } from '../../trainer/evaluate/protocol.ts';
import { escapeLatex } from '../../trainer/tables.ts';
import { change, isKnown, numberName } from '../accuracy.ts';
import { classRows } from './classRows.ts';
import type { Comparison } from './comparison.ts';
import { Confusions } from './confusions.ts';
import type { ShownReport } from './protocol.ts';

const exact = (value: number | null | undefined): string => (isKnown(value) ? String(value) : '');

/** The twelve numbers, one a line; fractions of 1. */
export function numbersTable({ before, after }: Comparison): string[][] {
  const table = [['reading', 'kind', 'number', 'before', 'after', 'change']];
  for (const reading of regionReadings)
    for (const kind of classKinds)
      for (const top of [1, 5] as const) {
        const name = numberName(reading, kind, top);
        const [was, is] = [before?.numbers[name], after.numbers[name]];
        table.push([reading, kind, `mAcc top-${top}`, exact(was), exact(is), exact(change(was, is))]);
      }
  return table;
}

/** Accuracy of every class in every reading; fractions of 1. */
export function classesTable(comparison: Comparison): string[][] {
  const table = [
    [
      'reading',
      'id',
      'class',
      'kind',
      'regions',
      'top1 before',
      'top1 after',
      'top1 change',
      'top5 before',
    ].concat(['top5 after', 'top5 change', 'margin after']),
  ];
  for (const reading of regionReadings) {
    const top5 = new Map(classRows(comparison, reading, 5).map(row => [row.place, row]));
    for (const row of classRows(comparison, reading, 1)) {
      const { id, isThing } = comparison.classes[row.place]!;
      const five = top5.get(row.place)!;
      table.push([
        ...[reading, String(id), row.name, isThing ? 'thing' : 'stuff', String(row.regions)],
        ...[row.before, row.after, row.change, five.before, five.after, five.change, row.margin].map(exact),
      ]);
    }
  }
  return table;
}

/** Every pair of a true and a named class that happened on either side. */
export function confusionsTable(comparison: Comparison, reading: RegionReading): string[][] {
  const confusions = new Confusions(comparison, reading);
  const name = (place: number): string => comparison.classes[place]!.name;
  const table = [['reading', 'truth', 'named', 'regions before', 'regions after', 'of before', 'of after']];
  for (const [truth, named] of confusions.keys()) {
    const { before, after, beforeOf, afterOf } = confusions.at(truth, named);
    const counts = [before, after, beforeOf, afterOf].map(String);
    table.push([reading, name(truth), name(named), ...counts]);
  }
  return table;
}

/**
 * One report as a row shaped like Table 1 of the paper: boxes of things, masks of things, masks of stuff, each top-1 and
 * top-5 mAcc in percent.
 */
export function latexRow(report: ShownReport): string {
  const cells = (
    [
      ['rois', 'thing'],
      ['maskpool', 'thing'],
      ['maskpool', 'stuff'],
    ] as const
  ).flatMap(([reading, kind]) =>
    ([1, 5] as const).map(top => {
      const value = report.numbers[numberName(reading, kind, top)];
      return isKnown(value) ? (value * 100).toFixed(1) : '--';
    }),
  );
  return `${escapeLatex(report.model.name)} & ${cells.join(' & ')} \\\\`;
}

/** Both reports under the heading of the table; needs the package `booktabs`. */
export function latexTable({ before, after }: Comparison): string {
  const rows = before === null ? [after] : [before, after];
  return [
    '% mAcc in percent: boxes (RoIAlign), masks of things, masks of stuff',
    '\\begin{tabular}{lcccccc}',
    '\\toprule',
    ' & \\multicolumn{2}{c}{Boxes} & \\multicolumn{2}{c}{Masks-T} & \\multicolumn{2}{c}{Masks-S} \\\\',
    'Model & Top1 & Top5 & Top1 & Top5 & Top1 & Top5 \\\\',
    '\\midrule',
    ...rows.map(latexRow),
    '\\bottomrule',
    '\\end{tabular}',
    '',
  ].join('\n');
}

/** Both reports and their confusions as JSON, as the files have them. */
export function jsonText({ before, after }: Comparison): string {
  const whole = (report: ShownReport | null) => {
    if (report === null) return null;
    const readings = regionReadings.flatMap(reading => {
      const shown = report.readings[reading];
      if (shown === undefined) return [];
      const triples = new Uint32Array(shown.confusions);
      const confusions = Array.from({ length: triples.length / 3 }, (_, index) => ({
        truth: triples[index * 3]!,
        named: triples[index * 3 + 1]!,
        regions: triples[index * 3 + 2]!,
      }));
      return [[reading, { ...shown, confusions }] as const];
    });
    return { ...report, readings: Object.fromEntries(readings) };
  };
  return `${JSON.stringify({ before: whole(before), after: whole(after) }, null, 2)}\n`;
}
