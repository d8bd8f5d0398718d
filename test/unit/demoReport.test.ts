import assert from 'node:assert/strict';
import { htmlReport, numberLines } from '../../media/demo/report.ts';
import { judge, type Numbers } from '../../media/demo/verdict.ts';

const numbers = (rois: number, maskpoolStuff: number, crops: number): Numbers => ({
  'rois.thing.macc1': rois,
  'maskpool.stuff.macc1': maskpoolStuff,
  'crops.thing.macc1': crops,
  'rois.stuff.macc5': null,
});

describe('what the demo claims', () => {
  const before = numbers(0.02, 0.4, 0.7);

  it('holds where the numbers reach the bounds', () => {
    const claims = judge(
      { before, after: numbers(0.43, 0.9, 0.1) },
      { before: numbers(0.02, 0.4, 0.35), after: numbers(0.2, 0.8, 0.1) },
    );
    assert.deepEqual(
      claims.map(({ holds, measured }) => [holds, measured]),
      [
        [true, '41.0 points'],
        [true, '60.3 %'],
        [true, '50.0 points'],
        [true, '2.0 % → 20.0 %'],
      ],
    );
  });

  it('does not hold short of them, nor where nothing was measured', () => {
    const short = judge(
      { before, after: numbers(0.3, 0.65, 0.1) },
      { before: numbers(0.1, 0, 0.3), after: numbers(0.29, 0, 0.3) },
    );
    assert.ok(short.every(({ holds }) => !holds));
    const empty = judge({ before: {}, after: {} }, { before: {}, after: {} });
    assert.ok(empty.every(({ holds }) => !holds));
  });

  it('is shown in a terminal and on a page', () => {
    const comparison = { title: 'Seen <styles>', numbers: { before, after: numbers(0.4, 0.9, 0.1) } };
    const lines = numberLines(comparison);
    assert.equal(lines.length, 5);
    assert.match(lines[2]!, /dense features over boxes +2\.0 % → 40\.0 % +– → – +– → – +– → –/);
    const page = htmlReport({
      model: 'tiny & <b>',
      scenes: 'Scenes of < 3 things.',
      comparisons: [comparison],
      claims: judge(comparison.numbers, comparison.numbers),
      losses: [0.8, 0.4, 0.2],
      views: [
        {
          ...{ name: 'a scene', image: Uint8Array.of(4) },
          ...{ before: Uint8Array.of(1, 2), after: Uint8Array.of(3) },
        },
      ],
      minutes: 4.2,
    });
    assert.ok(page.includes('tiny &#38; &#60;b&#62;') && page.includes('Seen &#60;styles&#62;'));
    assert.ok(page.includes('<p>Scenes of &#60; 3 things.</p>'));
    assert.ok(page.includes('2.0 % → <b>40.0 %</b>'));
    assert.ok(page.includes('3 steps, 0.800 to 0.200'));
    assert.ok(page.includes('src="data:image/png;base64,AQI="'));
    assert.equal(page.match(/<li /g)!.length, 4);
  });
});
