import type { Measurement, RememberedChoice } from './choiceMemory.ts';

export interface FastestEngine {
  engine: string;
  /** What all took, or why they did not work. */
  reason: string;
  /** The same for who has read the reason before: without what did not work. */
  summary: string;
}

/** The engine that took least time. The CPU always works, and is taken unmeasured where nothing else does. */
export function fastestEngine({ measured, engines }: RememberedChoice): FastestEngine {
  const [best] = Object.entries(engines)
    .flatMap(([engine, result]) => ('seconds' in result ? [{ engine, seconds: result.seconds }] : []))
    .sort((a, b) => a.seconds - b.seconds);
  if (!best) {
    const nothing = 'no other works here';
    return {
      engine: 'cpu',
      reason: `${nothing}; ${describe(engines)}`,
      summary: `${nothing} (clipself doctor says why)`,
    };
  }
  const tell = (told: Readonly<Record<string, Measurement>>): string =>
    `a block forward and backward; ${describe(told)}; measured ${measured.slice(0, 10)}`;
  const worked = Object.fromEntries(Object.entries(engines).filter(([, result]) => 'seconds' in result));
  return { engine: best.engine, reason: tell(engines), summary: tell(worked) };
}

const describe = (engines: Readonly<Record<string, Measurement>>): string =>
  Object.entries(engines)
    .map(([engine, result]) =>
      'seconds' in result
        ? `${engine}: ${(1000 * result.seconds).toPrecision(3)} ms`
        : `${engine}: ${result.failure}`,
    )
    .join('; ');
