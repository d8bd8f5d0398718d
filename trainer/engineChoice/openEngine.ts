import { createEngine, type EngineName, enginesBeyondCpu, enginesOfFp32 } from '../engines/createEngine.ts';
import type { Engine } from '../engines/engine.ts';
import type { VisionArchitecture } from '../models/architecture.ts';
import type { Precision } from '../models/stagePrecision.ts';
import { calibrate } from './calibration.ts';
import { ChoiceMemory, type Measurement, machineKey, type RememberedChoice } from './choiceMemory.ts';
import { fastestEngine } from './fastestEngine.ts';
import { type EngineReport, probeEngine } from './probeEngine.ts';

export interface EngineRequest {
  /** `--engine`: `auto` or the name of an engine. */
  name: string;
  /** CPU threads; 0 lets the engine decide. */
  threads: number;
  /** The model that will run. */
  architecture: VisionArchitecture;
  /** What the model will compute in: `auto` takes an engine that can. */
  precision?: Precision;
}

/** What the choice depends on, so that tests can play other machines. */
export interface ChoiceMeans {
  candidates: readonly EngineName[];
  probe(name: EngineName): Promise<EngineReport>;
  create(name: string, threads: number): Promise<Engine>;
  measure(engine: Engine, architecture: VisionArchitecture): Promise<number>;
  memory: ChoiceMemory;
  machine: string;
  /** What `auto` is by decision of whoever runs the machine. */
  decided: string | undefined;
}

const defaultMeans = (): ChoiceMeans => ({
  candidates: enginesBeyondCpu,
  probe: probeEngine,
  create: createEngine,
  measure: calibrate,
  memory: new ChoiceMemory(),
  machine: machineKey(),
  decided: process.env.CLIPSELF_ENGINE || undefined,
});

/** @param remembered whether the choice was made before, so that the user has been told already. */
type Say = (line: string, remembered: boolean) => void;

/**
 * Starts the engine that is asked for. `auto` measures once per machine and model how long each engine that works here
 * takes for the calibrated step, remembers that for a week, and takes the fastest; it says what it chose and why.
 *
 * @throws when the named engine does not work here: only `auto` may take another.
 */
export async function openEngine(
  { name, threads, architecture, precision = 'fp32' }: EngineRequest,
  say: Say,
  means: ChoiceMeans = defaultMeans(),
): Promise<Engine> {
  const start = async (engine: string): Promise<Engine> => {
    const started = await means.create(engine, threads);
    if (started.remark) say(started.remark, false);
    return started;
  };
  if (name !== 'auto') return start(name);
  // Their convolutions are for comparison, and tested on the CPU engine alone.
  if (architecture.kind === 'resnet') return start('cpu');
  if (means.decided) {
    say(`engine ${means.decided}: CLIPSELF_ENGINE says so`, true);
    return start(means.decided);
  }
  const half = precision === 'fp16' ? [precision] : [];
  const key = [means.machine, `${threads} threads`, modelKey(architecture), ...half].join(' | ');
  const known = await means.memory.recall(key);
  if (known && isRecent(known)) {
    const { engine, summary } = fastestEngine(known);
    try {
      const opened = await start(engine);
      say(`engine ${engine}, chosen by auto: ${summary}`, true);
      return opened;
    } catch (error) {
      say(`engine ${engine} worked here before and does not now: ${messageOf(error)}`, false);
    }
  }
  const found = {
    measured: new Date().toISOString(),
    engines: await measureAll({ architecture, threads, precision }, means),
  };
  const { engine, reason } = fastestEngine(found);
  say(`engine ${engine}, chosen by auto: ${reason}`, false);
  // A cache that cannot be written costs a measurement next time, no more.
  await means.memory.remember(key, found).catch(() => undefined);
  return start(engine);
}

const rememberedDays = 7;

const isRecent = ({ measured }: RememberedChoice): boolean =>
  Date.now() - Date.parse(measured) < rememberedDays * 24 * 3600 * 1000;

async function measureAll(
  { architecture, threads, precision }: Omit<Required<EngineRequest>, 'name'>,
  means: ChoiceMeans,
): Promise<Record<string, Measurement>> {
  const found: Record<string, Measurement> = {};
  const working: EngineName[] = [];
  for (const candidate of means.candidates) {
    if (precision === 'fp16' && enginesOfFp32.includes(candidate)) {
      found[candidate] = { failure: 'does not compute in fp16' };
      continue;
    }
    const { works, detail } = await means.probe(candidate);
    if (works) working.push(candidate);
    else found[candidate] = { failure: detail };
  }
  if (working.length === 0) return found;
  // One after the other: beside each other they would measure each other.
  for (const engine of ['cpu', ...working])
    found[engine] = await measureOne(engine, architecture, threads, means);
  return found;
}

async function measureOne(
  name: string,
  architecture: VisionArchitecture,
  threads: number,
  { create, measure }: ChoiceMeans,
): Promise<Measurement> {
  try {
    const engine = await create(name, threads);
    try {
      return { seconds: await measure(engine, architecture) };
    } finally {
      await engine.dispose();
    }
  } catch (error) {
    return { failure: messageOf(error) };
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The sizes that decide how long a block takes. */
function modelKey({ kind, width, heads, mlpWidth, imageSize, patchSize }: VisionArchitecture): string {
  return `${kind} ${width}x${mlpWidth}, ${heads} heads, ${imageSize}/${patchSize} px`;
}
