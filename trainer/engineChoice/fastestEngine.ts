import type { Measurement, RememberedChoice } from './choiceMemory.ts';

/** The engine that took least time, and what all took. The CPU always works, and is taken unmeasured where nothing else does. */
export function fastestEngine({ measured, engines }: RememberedChoice): { engine: string; reason: string } {
  const [best] = Object.entries(engines)
    .flatMap(([engine, result]) => ('seconds' in result ? [{ engine, seconds: result.seconds }] : []))
    .sort((a, b) => a.seconds - b.seconds);
  if (!best) return { engine: 'cpu', reason: `no other works here; ${describe(engines)}` };
  const reason = `a block forward and backward; ${describe(engines)}; measured ${measured.slice(0, 10)}`;
  return { engine: best.engine, reason };
}

const describe = (engines: Readonly<Record<string, Measurement>>): string =>
  Object.entries(engines)
    .map(([engine, result]) =>
      'seconds' in result
        ? `${engine}: ${(1000 * result.seconds).toPrecision(3)} ms`
        : `${engine}: ${result.failure}`,
    )
    .join('; ');
