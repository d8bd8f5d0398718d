import assert from 'node:assert/strict';
import { shownReport } from '../../extension/evaluationReport.ts';
import { regionReadings } from '../../trainer/evaluate/protocol.ts';
import { escapeLatex } from '../../trainer/tables.ts';
import { change, directionOf, margin, numberName, percent, percentChange } from '../../webview/accuracy.ts';
import { classRows, filterRows, sortRows } from '../../webview/evaluation/classRows.ts';
import { Comparison } from '../../webview/evaluation/comparison.ts';
import { Confusions } from '../../webview/evaluation/confusions.ts';
import { epochCurves, sweepCurves } from '../../webview/evaluation/curves.ts';
import {
  classesTable,
  confusionsTable,
  jsonText,
  latexRow,
  latexTable,
  numbersTable,
} from '../../webview/evaluation/exportTables.ts';
import {
  cellAt,
  extentOf,
  fittingCell,
  layoutOf,
  roomFor,
  visibleRange,
  zoomedScroll,
} from '../../webview/evaluation/matrixGeometry.ts';
import { defaultState, restoreState } from '../../webview/evaluation/panelState.ts';
import { type MadeEvaluation, makeEvaluation, numberedClasses } from '../support/evaluationReports.ts';

const options: MadeEvaluation = {
  ...{ seed: 1, classes: numberedClasses(12), regions: 400, imageFolder: '/images' },
  images: [{ name: 'a.jpg', width: 640, height: 480 }],
  skill: { rois: 0.3, maskpool: 0.4, crops: 0.7 },
};
const before = makeEvaluation({ ...options, run: '/runs/a', epoch: 0 });
const after = makeEvaluation({
  ...options,
  run: '/runs/a',
  epoch: 3,
  skill: { rois: 0.6, maskpool: 0.65, crops: 0.7 },
});
const compare = () => new Comparison(shownReport(before.report), shownReport(after.report));

describe('figures of an evaluation', () => {
  it('prints fractions in percent, changes with their sign, and no sign where nothing is seen to change', () => {
    assert.deepEqual([0.4826, 0, 1, null, undefined, Number.NaN].map(percent), [
      '48.3',
      '0.0',
      '100.0',
      '–',
      '–',
      '–',
    ]);
    assert.deepEqual([0.171, -0.004, 0.0004, -0.0004, null].map(percentChange), [
      '+17.1',
      '−0.4',
      '0.0',
      '0.0',
      '–',
    ]);
    assert.deepEqual([0.0123, -0.0004, -0.02].map(margin), ['+0.012', '0.000', '−0.020']);
    assert.equal(change(0.25, 0.5), 0.25);
    assert.equal(change(null, 0.5), null);
  });

  it('colours a change as its print reads', () => {
    assert.deepEqual([0.0006, 0.0004, -0.0004, -0.001, null].map(directionOf), [
      'better',
      'same',
      'same',
      'worse',
      'same',
    ]);
  });
});

describe('classes of two reports', () => {
  it('have the accuracies of the reports and their difference', () => {
    const rows = classRows(compare(), 'rois', 1);
    assert.equal(rows.length, after.report.readings.rois!.perClass.length);
    for (const row of rows) {
      const was = before.report.readings.rois!.perClass.find(entry => entry.class === row.place)!;
      const is = after.report.readings.rois!.perClass.find(entry => entry.class === row.place)!;
      assert.deepEqual([row.before, row.after, row.regions], [was.top1, is.top1, is.regions]);
      assert.equal(row.change, is.top1! - was.top1!);
    }
    const top5 = classRows(compare(), 'crops', 5);
    assert.equal(top5[0]!.after, after.report.readings.crops!.perClass[0]!.top5);
  });

  it('are matched by id and name where the order of the classes differs', () => {
    const turned = makeEvaluation({ ...options, classes: [...options.classes].reverse() });
    const comparison = new Comparison(shownReport(turned.report), shownReport(after.report));
    assert.equal(comparison.placeIn('before', 0), options.classes.length - 1);
    assert.equal(comparison.placeFrom('before', 0), options.classes.length - 1);
    for (const row of classRows(comparison, 'rois', 1)) {
      const place = options.classes.length - 1 - row.place;
      const was = turned.report.readings.rois!.perClass.find(entry => entry.class === place);
      assert.equal(row.before, was?.top1 ?? null);
    }
  });

  it('that only one side has are listed with what is known', () => {
    const fewer = { ...after.report, classes: after.report.classes.slice(0, 3) };
    const renamed = fewer.classes.map(entry => ({ ...entry, name: `new ${entry.name}` }));
    const comparison = new Comparison(
      shownReport(before.report),
      shownReport({ ...fewer, classes: renamed }),
    );
    assert.equal(comparison.placeIn('before', 0), -1);
    for (const row of classRows(comparison, 'rois', 1))
      assert.deepEqual([row.before, row.change], [null, null]);
  });

  it('are filtered by all words and by kind', () => {
    const rows = classRows(compare(), 'rois', 1);
    assert.deepEqual(
      filterRows(rows, { filter: ' 0003 CLASS', kind: 'all' }).map(({ name }) => name),
      ['class 0003'],
    );
    assert.ok(filterRows(rows, { filter: '', kind: 'stuff' }).every(row => !row.isThing));
    assert.deepEqual(filterRows(rows, { filter: '0003', kind: 'stuff' }), []);
  });

  it('are sorted by any column, what is not known last in both directions', () => {
    const rows = classRows(compare(), 'rois', 1);
    rows[2] = { ...rows[2]!, change: null };
    for (const descending of [true, false]) {
      const sorted = sortRows(rows, 'change', descending);
      assert.equal(sorted.at(-1)!.change, null);
      const known = sorted.slice(0, -1).map(row => row.change!);
      assert.deepEqual(
        known,
        [...known].sort((a, b) => (descending ? b - a : a - b)),
      );
    }
    assert.equal(sortRows(rows, 'name', true)[0]!.name, 'class 0011');
    assert.deepEqual(
      sortRows(rows, 'kind', false).map(({ place }) => place),
      rows.map(({ place }) => place),
    );
  });

  it('come with a warning where the reports do not compare like with like', () => {
    assert.deepEqual(compare().warnings(), []);
    const other = { ...before.report, size: 224, words: { source: 'x', sha256: 'd'.repeat(64) } };
    const warnings = new Comparison(shownReport(other), shownReport(after.report)).warnings();
    assert.deepEqual(warnings, ['their class words differ', 'their inputs are 224 px and 448 px']);
  });
});

describe('confusions of two reports', () => {
  it('count what the regions say', () => {
    const confusions = new Confusions(compare(), 'maskpool');
    for (const [truth, named] of confusions.keys()) {
      const count = (regions: typeof after.regions) =>
        regions.filter(region => region.class === truth && region.readings.maskpool!.top[0] === named).length;
      const cell = confusions.at(truth, named);
      assert.deepEqual([cell.before, cell.after], [count(before.regions), count(after.regions)]);
      const of = after.regions.filter(region => region.class === truth).length;
      assert.equal(cell.afterOf, of);
      assert.equal(confusions.share(truth, named, 'after'), cell.after / of);
      assert.ok(
        Math.abs(confusions.share(truth, named, 'change') - (cell.after / of - cell.before / cell.beforeOf)) <
          1e-12,
      );
    }
  });

  it('visit every cell once and list the most frequent mistakes', () => {
    const confusions = new Confusions(compare(), 'rois');
    const keys = [...confusions.keys()].map(String);
    assert.equal(new Set(keys).size, keys.length);
    const worst = confusions.worst('after', 5);
    assert.ok(worst.every(({ truth, named }) => truth !== named));
    assert.deepEqual(
      worst.map(({ regions }) => regions),
      worst.map(({ regions }) => regions).sort((a, b) => b - a),
    );
    assert.ok(confusions.worst('change', 100).some(({ regions }) => regions < 0));
  });

  it('order classes as the data set or by their regions', () => {
    const confusions = new Confusions(compare(), 'rois');
    const byData = confusions.order('data');
    assert.deepEqual(
      byData,
      [...byData].sort((a, b) => a - b),
    );
    const totals = confusions.order('regions').map(place => confusions.at(place, place).afterOf);
    assert.deepEqual(
      totals,
      [...totals].sort((a, b) => b - a),
    );
  });
});

describe('curves of an evaluation', () => {
  const numbers = (epoch: number) => ({
    epoch,
    step: epoch * 10,
    numbers: {
      'rois.thing.macc1': 0.1 * epoch,
      'maskpool.thing.macc1': 0.2,
      'crops.thing.macc1': 0.7 - 0.1 * epoch,
    },
  });

  it('run over epochs, with the crops before training as a level line', () => {
    const curves = epochCurves(
      [{ run: '/a', name: 'a', epochs: [numbers(0), numbers(1), numbers(2)] }],
      'thing',
      1,
    );
    assert.deepEqual(curves[0], { name: 'Boxes', points: [0, 1, 2].map(x => ({ x, y: 0.1 * x })) });
    assert.deepEqual(curves[2]!.points, []);
    assert.deepEqual(curves[4], { name: 'Teacher’s crops', points: [0, 1, 2].map(x => ({ x, y: 0.7 })) });
    assert.ok(epochCurves([], 'stuff', 5).every(({ points }) => points.length === 0));
  });

  it('carry the name of their run where there are two', () => {
    const runs = ['a', 'b'].map(name => ({ run: `/${name}`, name, epochs: [numbers(1)] }));
    const names = epochCurves(runs, 'thing', 1).map(({ name }) => name);
    assert.deepEqual(names, ['a boxes', 'a masks', 'b boxes', 'b masks', 'Teacher’s crops']);
  });

  it('run over input sizes, before and after', () => {
    const [boxes, , boxesBefore, , crops] = sweepCurves(compare(), 'thing', 1);
    assert.deepEqual(
      boxes!.points.map(({ x }) => x),
      [224, 448, 672, 896],
    );
    assert.equal(boxes!.points[2]!.y, after.report.numbers['rois.thing.macc1']);
    assert.equal(boxesBefore!.points[2]!.y, before.report.numbers['rois.thing.macc1']);
    assert.equal(crops!.points.length, 4);
  });
});

describe('what is taken away from an evaluation', () => {
  it('has the twelve numbers with their differences', () => {
    const table = numbersTable(compare());
    assert.equal(table.length, 13);
    const row = table.find(
      ([reading, kind, name]) => reading === 'maskpool' && kind === 'stuff' && name === 'mAcc top-5',
    )!;
    const name = numberName('maskpool', 'stuff', 5);
    assert.deepEqual(row.slice(3, 5).map(Number), [before.report.numbers[name], after.report.numbers[name]]);
    assert.equal(numbersTable(new Comparison(null, shownReport(after.report)))[1]![3], '');
  });

  it('has every class in every reading, and every confusion', () => {
    const classes = classesTable(compare());
    const rows = regionReadings.reduce((sum, reading) => sum + classRows(compare(), reading, 1).length, 0);
    assert.equal(classes.length, rows + 1);
    assert.ok(classes.every(row => row.length === classes[0]!.length));
    const [, ...confusions] = confusionsTable(compare(), 'crops');
    const total = confusions.reduce((sum, row) => sum + Number(row[4]), 0);
    assert.equal(total, after.regions.length);
  });

  it('has a LaTeX row shaped like Table 1: boxes, masks of things, masks of stuff', () => {
    const numbers = {
      ...{ 'rois.thing.macc1': 0.182, 'rois.thing.macc5': 0.3319, 'maskpool.thing.macc1': 0.206 },
      ...{ 'maskpool.thing.macc5': null, 'maskpool.stuff.macc1': 0.184, 'maskpool.stuff.macc5': 0.435 },
    };
    const model = { ...after.report.model, name: 'EVA_B/16 & 50%' };
    const report = shownReport({ ...after.report, numbers, model });
    assert.equal(latexRow(report), 'EVA\\_B/16 \\& 50\\% & 18.2 & 33.2 & 20.6 & -- & 18.4 & 43.5 \\\\');
    assert.equal(latexTable(compare()).match(/\\\\$/gm)!.length, 4);
    assert.equal(escapeLatex('a\\b~c^{}'), 'a\\textbackslash{}b\\textasciitilde{}c\\textasciicircum{}\\{\\}');
  });

  it('has everything as JSON, confusions as the files have them', () => {
    const { before: was, after: is } = JSON.parse(jsonText(compare()));
    assert.deepEqual(was, before.report);
    assert.deepEqual(is, after.report);
  });
});

describe('the geometry of the matrix', () => {
  it('fits a matrix of any size into its room', () => {
    for (const count of [1, 30, 133, 1203]) {
      const cell = fittingCell(count, 900, 700, roomFor(80));
      const { width, height } = extentOf(layoutOf(count, cell, roomFor(80)));
      assert.ok(width <= 900.001 && height <= 700.001, `${count} classes take ${width} × ${height}`);
    }
  });

  it('finds the cell under a point, and none beside the matrix', () => {
    const layout = layoutOf(100, 20, roomFor(80));
    const at = (x: number, y: number) =>
      cellAt(layout, { x: 40, y: 60 }, { x: layout.left + x, y: layout.top + y });
    assert.deepEqual(at(5, 5), { row: 3, column: 2 });
    assert.equal(at(-1, 5), null);
    assert.equal(at(5, 3000), null);
    assert.deepEqual(visibleRange(layout, 60, 100), { first: 3, last: 8 });
    assert.deepEqual(visibleRange(layout, 1990, 100), { first: 99, last: 100 });
  });

  it('keeps the cell under the pointer when it zooms', () => {
    const [small, large] = [layoutOf(100, 15, roomFor(80)), layoutOf(100, 40, roomFor(80))];
    const point = small.left + 77;
    const scroll = zoomedScroll(small, large, 120, point, 'left');
    assert.ok(Math.abs((120 + 77) / 15 - (scroll + 77) / 40) < 1e-9);
  });
});

describe('the stored state of the evaluation panel', () => {
  it('is restored as it was', () => {
    const state = {
      ...defaultState(),
      before: { kind: 'file' as const, path: '/a/report.json' },
      after: { kind: 'latest' as const, run: '/runs/a' },
      tab: 'confusions' as const,
      selection: {
        side: 'after' as const,
        reading: 'crops' as const,
        truth: 3,
        named: null,
        outcome: 'wrong' as const,
      },
    };
    assert.deepEqual(restoreState(JSON.parse(JSON.stringify(state))), state);
  });

  it('falls back to defaults for what is missing, odd or of another version', () => {
    assert.deepEqual(restoreState({ schema: 2, tab: 'classes' }), defaultState());
    assert.deepEqual(restoreState(null), defaultState());
    const odd = {
      schema: 1,
      tab: 7,
      top: 3,
      matrix: { side: 'x' },
      selection: { truth: -1, named: null },
      before: { kind: 'x' },
    };
    assert.deepEqual(restoreState(odd), defaultState());
  });
});
