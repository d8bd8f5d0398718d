import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { createEngine } from '../../trainer/engines/createEngine.ts';
import { ProgramCache } from '../../trainer/engines/programCache.ts';
import { PositionInterpolations, VisionTower } from '../../trainer/models/visionTower.ts';
import { randomWeights, uniform } from '../support/randomTower.ts';

/** The dense read-out of one image whose pixels lie ready, on random weights, and nothing else. */
export interface BareForward {
  /** Milliseconds of one pass, on the clock and of this process's processor time. */
  run(): Promise<{ wall: number; processor: number }>;
  dispose(): Promise<void>;
}

/** Prepares a known architecture at an input size in pixels; the first pass, which compiles, is behind it. */
export async function prepareBareForward(arch: string, size: number): Promise<BareForward> {
  const architecture = knownArchitectures.get(arch);
  if (architecture === undefined) throw new Error(`${arch} is not known`);
  const engine = await createEngine('cpu', 0);
  const programs = new ProgramCache(engine);
  const interpolations = new PositionInterpolations(engine, architecture);
  const tower = new VisionTower(architecture, randomWeights(engine, architecture), programs, interpolations);
  const pixels = engine.upload([1, 3, size, size], uniform(3 * size * size, 2, 1));
  const pass = async (): Promise<void> => (await tower.encodeDense(pixels)).dispose();
  await pass();
  return {
    run: async () => {
      const [started, before] = [performance.now(), process.cpuUsage()];
      await pass();
      const { user, system } = process.cpuUsage(before);
      return { wall: performance.now() - started, processor: (user + system) / 1000 };
    },
    dispose: async () => {
      await programs.dispose();
      await engine.dispose();
    },
  };
}
