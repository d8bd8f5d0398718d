/** Programs that a test runs on several ranks: `node --import tsx rankScenarios.ts NAME`. */
import { spawn } from 'node:child_process';
import { inWorld, ToldElsewhere } from '../../trainer/distributed/inWorld.ts';
import { threadsOfRank } from '../../trainer/distributed/rankThreads.ts';
import { compareWeights } from '../../trainer/distributed/weightCheck.ts';
import { agreeing, anyRank, gatherValues, type World } from '../../trainer/distributed/world.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';

const scenarios: Record<string, (world: World) => Promise<void>> = {
  /** Values of all ranks. */
  values: async world => {
    const names = await gatherValues(world, { name: `rank ${world.rank}`, list: [world.rank, 'é'] });
    const floats = await world.sum(Float32Array.of(world.rank, 0.5, 100), 2);
    const any = await anyRank(world, world.rank === 1);
    const none = await anyRank(world, false);
    const threads = await threadsOfRank(world);
    const numbers = [...floats.subarray(0, 2)];
    if (world.rank === 0) console.log(JSON.stringify({ names, numbers, any, none, threads }));
  },
  /** One rank fails while the others wait for it. */
  failure: async world => {
    if (world.rank === 1) throw new Error('the disk of rank 1\nis full');
    await world.sum(Float32Array.of(1));
  },
  /** One rank fails while its launcher is busy elsewhere for a fifth of a second. */
  unheard: async world => {
    await world.sum(Float32Array.of(1));
    if (world.rank === 1) {
      process.kill(process.ppid, 'SIGSTOP');
      const goOn = ['-c', `sleep 0.2; kill -CONT ${process.ppid}`];
      spawn('sh', goOn, { stdio: 'ignore', detached: true }).unref();
      throw new Error('the disk of rank 1 is full');
    }
    await world.sum(Float32Array.of(1));
  },
  /** What every rank finds wrong is told once. */
  agreed: async world => {
    await agreeing(world, async () => {
      if (world.rank > 0) throw new Error(`no such file on rank ${world.rank}`);
    });
  },
  /** One rank's weights are not those of the others. */
  diverged: async world => {
    const engine = new OnnxRuntimeCpuEngine(1);
    const weights = (last: number) => [engine.upload([3], Float32Array.of(1, 2, last))];
    await compareWeights(world, engine, weights(3), 4);
    await compareWeights(world, engine, weights(world.rank === 2 ? 3.0000002 : 3), 7);
  },
};

try {
  await inWorld(scenarios[process.argv[2]!]!);
} catch (error) {
  if (!(error instanceof ToldElsewhere)) console.error(`told: ${(error as Error).message}`);
  process.exitCode = 1;
}
