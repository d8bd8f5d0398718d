import { cast } from '../graph/operations/cast.ts';
import { Value } from '../graph/value.ts';
import { disposeAll, type Engine, readFloats } from './engine.ts';
import { EngineError } from './engineError.ts';

/** 0.1 rounded to the eleven digits of half precision. */
const roundedTenth = 0.0999755859375;

/**
 * Tries whether an engine computes in half precision.
 *
 * @throws EngineError saying why it does not, and what to do.
 */
export async function requireHalfPrecision(engine: Engine): Promise<void> {
  const refuse = (reason: string, cause?: unknown): EngineError =>
    new EngineError(`--precision fp16 does not work with the engine ${engine.name}: ${reason}`, { cause });
  let rounded: number;
  try {
    rounded = await roundTenth(engine);
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error), error);
  }
  if (rounded !== roundedTenth) throw refuse(`it rounds 0.1 to ${rounded}. Take --precision fp32`);
}

async function roundTenth(engine: Engine): Promise<number> {
  const x = Value.input('x', [1]);
  const program = await engine.compile({ rounded: cast(cast(x, 'float16'), 'float32') });
  const feeds = { x: engine.upload([1], Float32Array.of(0.1)) };
  try {
    const results = await program.run(feeds);
    const [rounded] = await readFloats(engine, results.rounded!);
    disposeAll(results);
    return rounded!;
  } finally {
    disposeAll(feeds);
    await program.dispose();
  }
}
