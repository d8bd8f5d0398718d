import path from 'node:path';
import { isJsonObject, readJson } from '../checkpoints/jsonFile.ts';
import { type TwelveNumberName, twelveNumberNames } from '../evaluate/protocol.ts';
import type { EvaluationRecord, PretrainConfiguration, RunConfiguration, RunSummary } from '../protocol.ts';
import type { MetricHistory } from '../runs/metricRecords.ts';
import { readMetricHistory } from '../runs/metrics.ts';
import { parseAnyConfiguration } from '../runs/pretrainConfiguration.ts';
import { runFiles } from '../runs/runDirectory.ts';
import { summariseRun } from '../runs/runSummary.ts';
import type { ComparedRun, KnownNumbers } from './protocol.ts';

/** A run's `config.json`, and which settings the file itself names: earlier versions had fewer. */
export interface StatedConfiguration {
  configuration: RunConfiguration | PretrainConfiguration;
  stated: ReadonlySet<string>;
}

/** A run as it was read, or the reason why it could not be. */
export type ReadRun =
  | {
      directory: string;
      problem: null;
      configuration: StatedConfiguration;
      history: MetricHistory;
      summary: RunSummary;
    }
  | { directory: string; problem: string };

/** @throws FileError when the directory holds no valid run. */
export async function readStatedConfiguration(directory: string): Promise<StatedConfiguration> {
  const file = runFiles(directory).configuration;
  const content = await readJson(file);
  const configuration = parseAnyConfiguration(content, file);
  const settings = isJsonObject(content) && isJsonObject(content.settings) ? content.settings : {};
  return { configuration, stated: new Set(Object.keys(settings)) };
}

/** Reads a run; one that is gone or broken says so and does not keep the others from being compared. */
export async function readRun(directory: string): Promise<ReadRun> {
  const absolute = path.resolve(directory);
  try {
    const configuration = await readStatedConfiguration(absolute);
    const history = await readMetricHistory(runFiles(absolute).metrics);
    const summary = await summariseRun(absolute, history);
    return { directory: absolute, problem: null, configuration, history, summary };
  } catch (error) {
    return { directory: absolute, problem: error instanceof Error ? error.message : String(error) };
  }
}

/** What a comparison says of one run. */
export function comparedRun(run: ReadRun, name: string): ComparedRun {
  const { directory, problem } = run;
  if (run.problem !== null) return { ...unknownRun, directory, name, problem };
  const { configuration } = run.configuration;
  const { state, step, totalSteps, loss } = run.summary;
  const { evaluations } = run.history;
  const task = 'task' in configuration ? configuration : null;
  const settings = 'task' in configuration ? null : configuration.settings;
  const model = settings?.model ?? task?.settings.arch ?? 'tiny CLIP';
  return {
    ...{ directory, name, problem: null, state, step, totalSteps, loss },
    method: settings?.method ?? 'pretrain',
    regions: settings?.regions ?? null,
    model: { name: path.basename(model), sha256: configuration.modelHash },
    heldOutCosine: latestOf(evaluations, 'heldOut.cosine')?.value ?? null,
    ...numbersOf(evaluations),
  };
}

const unknownRun: Omit<ComparedRun, 'directory' | 'name' | 'problem'> = {
  state: null,
  step: 0,
  totalSteps: 0,
  method: null,
  regions: null,
  model: null,
  loss: null,
  heldOutCosine: null,
  numbers: {},
  numbersStep: null,
  numbersBefore: {},
};

function latestOf(
  evaluations: readonly EvaluationRecord[],
  name: string,
): { value: number; step: number } | null {
  const found = evaluations.findLast(record => Number.isFinite(record.eval[name]));
  return found === undefined ? null : { value: found.eval[name]!, step: found.eval.step };
}

function numbersOf(
  evaluations: readonly EvaluationRecord[],
): Pick<ComparedRun, 'numbers' | 'numbersStep' | 'numbersBefore'> {
  const [numbers, numbersBefore]: [KnownNumbers, KnownNumbers] = [{}, {}];
  const before = evaluations.filter(({ eval: { step } }) => step === 0);
  let numbersStep: number | null = null;
  const take = (into: KnownNumbers, from: readonly EvaluationRecord[], name: TwelveNumberName): number => {
    const latest = latestOf(from, name);
    if (latest !== null) into[name] = latest.value;
    return latest?.step ?? -1;
  };
  for (const name of twelveNumberNames) {
    take(numbersBefore, before, name);
    const step = take(numbers, evaluations, name);
    if (step >= 0) numbersStep = Math.max(numbersStep ?? 0, step);
  }
  return { numbers, numbersStep, numbersBefore };
}
