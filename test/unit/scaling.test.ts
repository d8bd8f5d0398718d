import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { requireTransformer } from '../../trainer/models/architecture.ts';
import {
  allReduceSeconds,
  blockWork,
  type Plan,
  sentBytes,
  stepModel,
  stepTime,
} from '../bench/scalingModel.ts';
import { scalingDocument, withTables } from '../bench/scalingTable.ts';

const close = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) <= 1e-9 * Math.abs(expected), `${actual} is not ${expected}`);

describe('scaling on paper', () => {
  const network = { name: '', bandwidth: 1e9, delay: 1e-3 };
  const machine = { rate: 1e12, hostBandwidth: 1e10 };
  const plan: Plan = { reduction: 'ring', numberBytes: 4, accumulate: 1, bucketBytes: 1e8 };

  /** Rank by rank, as the messages of a ring follow one another. */
  const playedRing = (bytes: number, ranks: number): { seconds: number; sent: number } => {
    let [seconds, sent] = [0, 0];
    for (let round = 0; round < 2 * (ranks - 1); round++) {
      seconds += network.delay + bytes / ranks / network.bandwidth;
      sent += bytes / ranks;
    }
    return { seconds, sent };
  };

  it('costs what the messages of a ring cost', () => {
    for (const ranks of [2, 3, 8, 100]) {
      const { seconds, sent } = playedRing(1e8, ranks);
      close(allReduceSeconds('ring', 1e8, ranks, network), seconds);
      close(sentBytes('ring', 1e8, ranks), sent);
    }
    assert.equal(allReduceSeconds('ring', 1e8, 1, network), 0);
  });

  it('costs a tree its depth in delays, and the bytes up and down', () => {
    close(allReduceSeconds('tree', 1e8, 8, network), 6e-3 + 0.2);
    close(allReduceSeconds('tree', 1e8, 9, network), 8e-3 + 0.2);
    // Rings send less, trees wait less.
    assert.ok(sentBytes('ring', 1, 8) < sentBytes('tree', 1, 8));
    assert.ok(allReduceSeconds('ring', 1e3, 512, network) > 50 * allReduceSeconds('tree', 1e3, 512, network));
  });

  it('hides the exchange behind the backward pass, all but the last bucket', () => {
    const step = { work: 1e12, backwardShare: 0.5, gradientBytes: 2e8 };
    // Two buckets of 0.1 GB between two ranks: 2 · (1 ms + 50 ms) each, and 40 ms to the host and back.
    const { compute, exchange, exposed, efficiency } = stepTime(step, 2, network, machine, plan);
    close(compute, 1);
    close(exchange, 2 * 0.102 + 0.04);
    close(exposed, 0.102 + 0.02);
    close(efficiency, 1 / 1.122);
    const slow = stepTime(step, 2, { ...network, bandwidth: 1e8 }, machine, plan);
    close(slow.exposed, 2 * 2 * (0.001 + 0.5) + 0.04 - 0.5);
    assert.equal(stepTime(step, 1, network, machine, plan).efficiency, 1);
  });

  it('gains by smaller numbers and by more batches a step', () => {
    const step = { work: 1e12, backwardShare: 0.5, gradientBytes: 2e9 };
    const efficiency = (change: Partial<Plan>) =>
      stepTime(step, 64, network, machine, { ...plan, ...change }).efficiency;
    assert.ok(efficiency({ numberBytes: 2 }) > efficiency({}));
    assert.ok(efficiency({ accumulate: 4 }) > efficiency({}));
    const [one, four] = [1, 4].map(accumulate =>
      stepTime(step, 64, network, machine, { ...plan, accumulate }),
    );
    assert.equal(one!.exposed, four!.exposed);
  });

  it('counts the work and the gradients of the published recipe', () => {
    const architecture = requireTransformer(knownArchitectures.get('ViT-B-16')!, 'blocks');
    // Queries, keys, values and projection; both products of the MLP; attention over 197 tokens.
    close(blockWork(architecture, 197), 2 * 197 * (4 * 768 ** 2 + 8 * 768 ** 2) + 4 * 197 ** 2 * 768);
    const settings = { size: 1024, crops: 20, imagesPerRank: 2, unlockedBlocks: 12 };
    const step = stepModel(architecture, settings);
    // A block: four products with biases, two norms.
    assert.equal(step.gradientBytes, 4 * 12 * (12 * 768 ** 2 + 13 * 768));
    const [student, teacher] = [blockWork(architecture, 4097), blockWork(architecture, 197)].map(
      work => 12 * work,
    );
    close(step.work, 2 * (3 * student! + 20 * teacher!));
    close(step.backwardShare, (2 * student!) / (3 * student! + 20 * teacher!));
    assert.equal(
      stepModel(architecture, { ...settings, unlockedBlocks: 6 }).gradientBytes,
      step.gradientBytes / 2,
    );
  });

  it('stands in the document as it is computed', async () => {
    const document = await readFile(scalingDocument, 'utf8');
    assert.equal(withTables(document), document);
  });
});
