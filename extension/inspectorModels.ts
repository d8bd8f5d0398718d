import { stat } from 'node:fs/promises';
import path from 'node:path';
import { readJson } from '../trainer/checkpoints/jsonFile.ts';
import type { ModelReference } from '../trainer/inspect/protocol.ts';
import type { RunSummary } from '../trainer/protocol.ts';
import { CheckpointStore } from '../trainer/runs/checkpointStore.ts';
import { isPretraining, readRunConfiguration } from '../trainer/runs/runConfiguration.ts';
import { runFiles } from '../trainer/runs/runDirectory.ts';
import {
  type ModelChoice,
  type ModelSource,
  type RunSteps,
  sourceKey,
} from '../webview/inspector/protocol/models.ts';
import type { ModelCandidate } from './candidates.ts';
import { type Disposable, Emitter } from './emitter.ts';
import { InspectorError } from './inspectorProblems.ts';
import { describeRun, stageOf } from './runPresentation.ts';
import { SerialTask } from './serialTask.ts';

/** Where models come from. */
export interface ModelSurroundings {
  /** Directory of the model that ships with the extension. */
  demoModel: string;
  /** Models in the workspace. */
  find(): Promise<ModelCandidate[]>;
  /** Paths of models used before, the latest first. */
  recent(): string[];
  runs(): readonly RunSummary[];
  /** The path as people see it in this workspace. */
  shorten(file: string): string;
}

/** What can be looked through. */
export interface ModelList {
  models: ModelChoice[];
  runs: RunSteps[];
}

/** Milliseconds for which a search of the workspace is good. */
const SEARCH_LIFETIME = 10_000;

const reference = (file: string, step: number | null = null): ModelReference => ({
  path: file,
  arch: null,
  step,
  blend: null,
});

/** The models and runs that the panels offer; tells when they change. */
export class InspectorModels implements Disposable {
  readonly #surroundings: ModelSurroundings;
  readonly #changes = new Emitter<ModelList>();
  readonly #pass = new SerialTask(() => this.#passOnce());
  #found: { models: ModelCandidate[]; time: number } = { models: [], time: 0 };
  #list: ModelList = { models: [], runs: [] };
  #disposed = false;

  readonly onDidChange = this.#changes.event;

  constructor(surroundings: ModelSurroundings) {
    this.#surroundings = surroundings;
  }

  /** What was found when last looked. */
  get list(): ModelList {
    return this.#list;
  }

  /** Looks again; what changed is told. */
  refresh(): Promise<void> {
    return this.#disposed ? Promise.resolve() : this.#pass.run();
  }

  /**
   * What the service is asked for.
   *
   * @throws InspectorError when the run does not say what it started from.
   */
  async referenceOf(source: ModelSource): Promise<ModelReference> {
    switch (source.kind) {
      case 'demo':
        return reference(this.#surroundings.demoModel);
      case 'file':
        return reference(source.path);
      case 'run':
        return reference(source.directory, source.step);
      case 'original': {
        const { model, arch } = await originalOf(source.directory);
        return { ...reference(model), arch };
      }
    }
  }

  async #passOnce(): Promise<void> {
    const { find, runs } = this.#surroundings;
    if (Date.now() - this.#found.time > SEARCH_LIFETIME) {
      this.#found = { models: await find(), time: Date.now() };
    }
    const summaries = runs();
    const steps = (await Promise.all(summaries.map(stepsOf))).filter(run => run !== null);
    const list = { models: this.#choices(summaries, steps), runs: steps };
    if (this.#disposed || JSON.stringify(list) === JSON.stringify(this.#list)) return;
    this.#list = list;
    this.#changes.fire(list);
  }

  #choices(summaries: readonly RunSummary[], runs: RunSteps[]): ModelChoice[] {
    const { demoModel, recent, shorten } = this.#surroundings;
    const fileChoice = (file: string, group: ModelChoice['group']): ModelChoice => ({
      source: { kind: 'file', path: file },
      label: path.basename(file),
      detail: shorten(file),
      group,
    });
    const runChoice = (run: RunSteps): ModelChoice => {
      const summary = summaries.find(({ directory }) => directory === run.directory);
      return {
        source: { kind: 'run', directory: run.directory, step: run.hasStudent ? null : run.steps.at(-1)! },
        label: run.name,
        detail: summary === undefined ? '' : describeRun(summary),
        group: 'run',
      };
    };
    const originalChoice = ({ directory, name }: RunSteps): ModelChoice => ({
      source: { kind: 'original', directory },
      label: `${name}: original`,
      detail: 'The model that the run started from',
      group: 'run',
    });
    const choices: ModelChoice[] = [
      {
        source: { kind: 'demo' },
        label: 'Demo model (tiny)',
        detail: 'Ships with the extension',
        group: 'demo',
      },
      ...recent().map(file => fileChoice(file, 'recent')),
      ...this.#found.models.map(model => fileChoice(model.path, 'workspace')),
      ...runs
        .filter(run => run.hasStudent || run.steps.length > 0)
        .flatMap(run => [runChoice(run), originalChoice(run)]),
    ];
    const others = choices.filter(({ source }) => source.kind !== 'file' || source.path !== demoModel);
    return firstOfEach(others, ({ source }) => sourceKey(source));
  }

  dispose(): void {
    this.#disposed = true;
    this.#changes.dispose();
  }
}

function firstOfEach<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  const seen = new Set<string>();
  return items.filter(item => {
    const key = keyOf(item);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

async function originalOf(directory: string): Promise<{ model: string; arch: string | null }> {
  try {
    const { settings } = await readRunConfiguration(runFiles(directory).configuration);
    return { model: settings.model, arch: settings.arch };
  } catch (error) {
    throw new InspectorError('model', error instanceof Error ? error.message : String(error));
  }
}

/** What a run has saved; null when its folder cannot be read. */
async function stepsOf(summary: RunSummary): Promise<RunSteps | null> {
  const { directory, name, state } = summary;
  const files = runFiles(directory);
  const store = new CheckpointStore(files.checkpoints, 1, () => undefined);
  try {
    // Its model is an ordinary model folder.
    if (isPretraining(await readJson(files.configuration))) return null;
    const checkpoints = await store.list();
    const studentTime = await stat(files.student).then(
      status => status.mtimeMs,
      () => null,
    );
    return {
      directory,
      name,
      live: stageOf(state) === 'live',
      steps: checkpoints.map(({ step }) => step).sort((a, b) => a - b),
      hasStudent: studentTime !== null,
      ...(studentTime === null ? {} : { studentTime }),
    };
  } catch {
    return null;
  }
}
