import assert from 'node:assert/strict';
import { PanelDocument } from '../../extension/panelDocument.ts';

interface Posted {
  kind: string;
  result?: unknown;
  problem?: string | null;
}

function listened(): { panel: PanelDocument<Posted, string>; posted: Posted[] } {
  const posted: Posted[] = [];
  const panel = new PanelDocument<Posted, string>(
    message => posted.push(message),
    error => (error instanceof Error ? error.message : String(error)),
  );
  return { panel, posted };
}

describe('the document of a panel', () => {
  it('is sent nothing before it listens, while it is gone, and after its panel is closed', () => {
    const { panel, posted } = listened();
    panel.post({ kind: 'early' });
    panel.opened();
    panel.post({ kind: 'heard' });
    panel.gone();
    panel.post({ kind: 'hidden' });
    panel.dispose();
    panel.opened();
    panel.post({ kind: 'late' });
    assert.deepEqual(posted, [{ kind: 'heard' }]);
  });

  it('is answered once, with the result or the reason', async () => {
    const { panel, posted } = listened();
    panel.opened();
    await panel.answer(1, async ({ progress }) => {
      progress('half', 0.5);
      return 7;
    });
    await panel.answer(2, () => Promise.reject(new Error('no')));
    assert.deepEqual(posted, [
      { kind: 'progress', id: 1, stage: 'half', fraction: 0.5 },
      { kind: 'response', id: 1, result: 7, problem: null },
      { kind: 'response', id: 2, result: null, problem: 'no' },
    ]);
  });

  it('takes its requests with it: they are given up, and the next document hears nothing of them', async () => {
    const { panel, posted } = listened();
    panel.opened();
    const { serial } = panel;
    const signals: AbortSignal[] = [];
    const work = ({ signal }: { signal: AbortSignal }): Promise<string> => {
      signals.push(signal);
      return new Promise(resolve => signal.addEventListener('abort', () => resolve('late')));
    };
    const answers = [panel.answer(1, work), panel.answer(2, work)];
    panel.cancel(2);
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [false, true],
    );
    panel.opened();
    assert.ok(signals[0]!.aborted);
    assert.notEqual(panel.serial, serial);
    await Promise.all(answers);
    assert.deepEqual(
      posted.filter(({ kind }) => kind === 'response').length,
      0,
      'an answer reached the next document',
    );
  });
});
