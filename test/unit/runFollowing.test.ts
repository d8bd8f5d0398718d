import assert from 'node:assert/strict';
import type { ModelSource, RunSteps } from '../../webview/inspector/protocol/models.ts';
import { RunFollowing } from '../../webview/inspector/runFollowing.ts';

const directory = '/runs/a';

const at = (step: number | null): ModelSource => ({ kind: 'run', directory, step });

const runs = (steps: number[], studentTime: number | null = null): RunSteps[] => [
  {
    directory: '/runs/other',
    name: 'other',
    live: false,
    steps: [1, 2, 99],
    hasStudent: true,
    studentTime: 1,
  },
  {
    ...{ directory, name: 'a', live: true, steps, hasStudent: studentTime !== null },
    ...(studentTime === null ? {} : { studentTime }),
  },
];

describe('a column that looks at a run in training', () => {
  it('goes on from the newest checkpoint to the next one, again and again', () => {
    const following = new RunFollowing();
    assert.deepEqual(following.next(at(20), runs([10, 20]), runs([10, 20, 30]), false), at(30));
    assert.deepEqual(following.next(at(30), runs([10, 20, 30]), runs([20, 30, 40]), false), at(40));
  });

  it('stays at an older checkpoint, at another model, and while nothing is saved', () => {
    const following = new RunFollowing();
    const [before, now] = [runs([10, 20]), runs([10, 20, 30])];
    assert.equal(following.next(at(10), before, now, false), null);
    assert.equal(following.next(at(20), now, now, false), null);
    assert.equal(following.next({ kind: 'demo' }, before, now, false), null);
    assert.equal(following.next({ kind: 'original', directory }, before, now, false), null);
    assert.equal(following.next(null, before, now, false), null);
    assert.equal(following.next(at(20), before, [], false), null);
  });

  it('waits while the map before is on its way, then goes to the newest of all', () => {
    const following = new RunFollowing();
    assert.equal(following.next(at(10), runs([10]), runs([10, 20]), true), null);
    assert.equal(following.next(at(10), runs([10, 20]), runs([10, 20, 30]), true), null);
    const now = runs([10, 20, 30]);
    assert.deepEqual(following.next(at(10), now, now, false), at(30));
  });

  it('forgets what it waited for when another source is chosen', () => {
    const following = new RunFollowing();
    assert.equal(following.next(at(20), runs([10, 20]), runs([10, 20, 30]), true), null);
    following.reset();
    const now = runs([10, 20, 30]);
    assert.equal(following.next(at(10), now, now, false), null);
    assert.equal(following.next(at(20), now, now, false), null);
  });

  it('reads the student again once for each time it is written, and not for a checkpoint', () => {
    const following = new RunFollowing();
    assert.equal(following.next(at(null), runs([10], 1), runs([10, 20], 1), false), null);
    assert.deepEqual(following.next(at(null), runs([10], 1), runs([10], 2), false), at(null));
    assert.equal(following.next(at(null), runs([10], 2), runs([10], 2), false), null);
    assert.equal(following.next(at(null), runs([10], 2), runs([10], 3), true), null);
    assert.deepEqual(following.next(at(null), runs([10], 3), runs([10], 3), false), at(null));
  });

  it('reads the latest checkpoint in place of a student until there is one', () => {
    const following = new RunFollowing();
    assert.deepEqual(following.next(at(null), runs([10]), runs([10, 20]), false), at(null));
    assert.deepEqual(following.next(at(null), runs([10, 20]), runs([10, 20], 1), false), at(null));
  });
});
