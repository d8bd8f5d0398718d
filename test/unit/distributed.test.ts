import assert from 'node:assert/strict';
import fc from 'fast-check';
import { batchOf, shareOf } from '../../trainer/distill/sampler.ts';
import { findLaunch } from '../../trainer/distributed/launcher.ts';
import { divergedRanks } from '../../trainer/distributed/weightCheck.ts';
import { agreeing, anyRank, gatherValues, soloWorld } from '../../trainer/distributed/world.ts';

describe('processes of a launcher', () => {
  it('are known by what the launcher puts into their environment', () => {
    assert.equal(findLaunch({}), null);
    assert.deepEqual(findLaunch({ OMPI_COMM_WORLD_SIZE: '4', PMIX_RANK: '1' }), {
      size: 4,
      kind: 'Open MPI',
    });
    assert.deepEqual(findLaunch({ PMI_SIZE: '2', PMI_RANK: '0' }), { size: 2, kind: 'MPICH' });
    assert.deepEqual(findLaunch({ SLURM_STEP_NUM_TASKS: '8', PMI_SIZE: '8' }), { size: 8, kind: null });
    assert.deepEqual(findLaunch({ SLURM_STEP_NUM_TASKS: '8', SLURM_PROCID: '3' }), { size: 8, kind: null });
    assert.deepEqual(findLaunch({ PMIX_RANK: '0' }), { size: null, kind: null });
  });

  it('need no MPI when there is one of them, or none was launched as a step', () => {
    assert.equal(findLaunch({ OMPI_COMM_WORLD_SIZE: '1' }), null);
    assert.equal(findLaunch({ PMI_SIZE: '1' }), null);
    assert.equal(findLaunch({ SLURM_NTASKS: '8', SLURM_PROCID: '0' }), null);
  });

  it('are their own world without a launcher', async () => {
    assert.equal(await anyRank(soloWorld, true), true);
    assert.deepEqual(await gatherValues(soloWorld, [1]), [[1]]);
    await assert.rejects(
      agreeing(soloWorld, () => Promise.reject(new RangeError('as it is'))),
      RangeError,
    );
  });
});

describe('shares of a step', () => {
  it('hold every image of the step once, in its order, whatever the number of ranks', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(20),
        (batch, some, step) => {
          const ranks = Math.min(batch, some);
          const place = batchOf(step, batch, 3 * batch + 1);
          const shares = Array.from({ length: ranks }, (_, rank) => shareOf(place, { rank, ranks }));
          assert.deepEqual(
            shares.flatMap(({ positions }) => positions),
            place.positions,
          );
          const sizes = shares.map(({ positions }) => positions.length);
          assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1 && Math.min(...sizes) > 0);
          for (const share of shares) assert.equal(share.firstPosition, place.positions[0]);
        },
      ),
    );
  });
});

describe('weights of the ranks', () => {
  it('have come apart where a rank differs from the most', () => {
    assert.deepEqual(divergedRanks([5, 5, 5]), []);
    assert.deepEqual(divergedRanks([5, 7, 5, 8]), [1, 3]);
    assert.deepEqual(divergedRanks([7, 5, 5]), [0]);
    assert.deepEqual(divergedRanks([7, 5]), [1]);
  });
});
