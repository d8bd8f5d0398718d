import assert from 'node:assert/strict';
import type { EvaluationRecord, EventRecord, StepRecord } from '../../trainer/protocol.ts';
import { type Records, RunHistory, twelveNumbers } from '../../webview/training/history.ts';

const step = (number: number, time: number, loss = 1 / number): StepRecord => ({
  step: number,
  epoch: 1,
  loss,
  lr: 1e-5,
  gradNorm: 1,
  imagesPerSecond: 2,
  memoryMib: 100,
  time,
});

const evaluation = (at: number, time: number, values: Record<string, number>): EvaluationRecord => ({
  eval: { ...values, epoch: 1, step: at, time },
});

const event = (kind: EventRecord['event']['kind'], at: number, time: number): EventRecord => ({
  event: { kind, step: at, time },
});

const records = (part: Partial<Records>): Records => ({ steps: [], evaluations: [], events: [], ...part });
const stepsOf = (history: RunHistory): number[] => history.steps.map(record => record.step);

describe('history of a run', () => {
  it('forgets the steps and evaluations that a resume voids', () => {
    const history = new RunHistory();
    history.append(
      records({
        steps: [step(1, 100), step(2, 200), step(3, 300)],
        evaluations: [
          evaluation(0, 50, { 'heldOut.cosine': 0.5 }),
          evaluation(3, 310, { 'heldOut.cosine': 0.9 }),
        ],
      }),
    );
    history.append(records({ events: [event('resumed', 1, 400)] }));
    assert.deepEqual(stepsOf(history), [1]);
    assert.equal(history.evaluationSummaries()[0]!.last.value, 0.5);
  });

  it('keeps the steps after a resume that arrive together with it', () => {
    const history = new RunHistory();
    history.append(records({ steps: [step(1, 100), step(2, 200), step(3, 300)] }));
    history.append(
      records({
        steps: [step(4, 350), step(3, 500, 0.25), step(4, 600)],
        events: [event('resumed', 2, 450)],
      }),
    );
    assert.deepEqual(stepsOf(history), [1, 2, 3, 4]);
    assert.equal(history.steps[2]!.loss, 0.25);
  });

  it('lets a repeated step replace the first version and what followed it', () => {
    const history = new RunHistory();
    history.append(records({ steps: [step(1, 1), step(2, 2), step(3, 3), step(2, 4, 0.125)] }));
    assert.deepEqual(stepsOf(history), [1, 2]);
    assert.equal(history.lastStep!.loss, 0.125);
  });

  it('replaces everything when told so', () => {
    const history = new RunHistory();
    history.append(records({ steps: [step(1, 1)], events: [event('started', 0, 0)] }));
    history.replace(records({ steps: [step(7, 7)] }));
    assert.deepEqual(stepsOf(history), [7]);
    assert.equal(history.events.length, 0);
  });

  it('knows the best loss and ignores what is no number', () => {
    const history = new RunHistory();
    assert.equal(history.bestLoss(), undefined);
    history.append(
      records({ steps: [step(1, 1, 0.5), step(2, 2, Number.NaN), step(3, 3, 0.25), step(4, 4, 0.75)] }),
    );
    assert.equal(history.bestLoss()!.step, 3);
  });

  it('sums up every evaluation metric: before, best, last', () => {
    const history = new RunHistory();
    history.append(
      records({
        evaluations: [
          evaluation(0, 1, { 'heldOut.cosine': 0.5, 'heldOut.loss': 0.5 }),
          evaluation(10, 2, { 'heldOut.cosine': 0.9, 'heldOut.loss': 0.1 }),
          evaluation(20, 3, { 'heldOut.cosine': 0.8, 'heldOut.loss': 0.2, 'rois.thing.macc1': 31.5 }),
        ],
      }),
    );
    const [cosine, loss, accuracy] = history.evaluationSummaries();
    assert.deepEqual(cosine!.best, { step: 10, value: 0.9 });
    assert.equal(cosine!.before, 0.5);
    assert.deepEqual(cosine!.last, { step: 20, value: 0.8 });
    assert.deepEqual(loss!.best, { step: 10, value: 0.1 });
    assert.equal(accuracy!.name, 'rois.thing.macc1');
    assert.equal(accuracy!.before, null);
  });

  it('puts the numbers of region classification side by side, before and last', () => {
    const history = new RunHistory();
    const numbers = (value: number) => ({ 'heldOut.cosine': 0.5, 'rois.thing.macc1': value });
    history.append(records({ evaluations: [evaluation(0, 1, { 'heldOut.cosine': 0.5 })] }));
    assert.equal(twelveNumbers(history.evaluationSummaries()), null);
    history.append(records({ evaluations: [evaluation(0, 2, numbers(0.1))] }));
    const first = { before: null, after: { 'rois.thing.macc1': 0.1 } };
    assert.deepEqual(twelveNumbers(history.evaluationSummaries()), first);
    history.append(
      records({ evaluations: [evaluation(10, 3, numbers(0.4)), evaluation(20, 4, numbers(0.3))] }),
    );
    assert.deepEqual(twelveNumbers(history.evaluationSummaries()), {
      before: { 'rois.thing.macc1': 0.1 },
      after: { 'rois.thing.macc1': 0.3 },
    });
  });

  it('counts the time of training and not the breaks', () => {
    const history = new RunHistory();
    history.append(
      records({
        events: [event('started', 0, 1000), event('stopped', 2, 4000), event('resumed', 2, 60_000)],
        steps: [step(1, 2000), step(2, 3000), step(3, 62_000)],
      }),
    );
    assert.equal(history.elapsedSeconds(), 3 + 2);
    assert.equal(new RunHistory().elapsedSeconds(), 0);
  });

  it('takes 50,000 steps one by one within a second', () => {
    const history = new RunHistory();
    const start = performance.now();
    for (let number = 1; number <= 50_000; number++)
      history.append(records({ steps: [step(number, number)] }));
    assert.equal(history.steps.length, 50_000);
    assert.ok(performance.now() - start < 1000);
  });
});
