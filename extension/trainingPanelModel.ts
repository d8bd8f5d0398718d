import { stat } from 'node:fs/promises';
import type {
  EvaluationRecord,
  EventRecord,
  MetricRecord,
  PretrainConfiguration,
  RunConfiguration,
  RunSummary,
  StepRecord,
} from '../trainer/protocol.ts';
import { isEvaluation, isEvent, isStep } from '../trainer/runs/metricRecords.ts';
import { readAnyConfiguration } from '../trainer/runs/pretrainConfiguration.ts';
import { runFiles } from '../trainer/runs/runDirectory.ts';
import { MAXIMUM_HISTORY_POINTS, type MessageToPanel } from '../webview/training/protocol.ts';
import type { Disposable } from './emitter.ts';
import { FolderWatch } from './folderWatch.ts';
import { PreviewReader } from './previewReader.ts';
import { RunFollower } from './runFollower.ts';
import { SerialTask } from './serialTask.ts';
import { thinSteps } from './thinning.ts';

/** What a panel's model needs of its surroundings. */
export interface PanelSurroundings {
  post(message: MessageToPanel): void;
  /** Whether the workspace is trusted, so that trainers may be started and stopped. */
  canTrain(): boolean;
  mayReadImage(file: string): boolean;
  /** The run cannot be read, with the reason, or can be read again (null). */
  readable(problem: string | null): void;
  summaryChanged(summary: RunSummary): void;
}

/** Milliseconds between two looks at the run directory where no file event comes first. */
const POLL_INTERVAL = 1000;

/**
 * What a training panel shows of one run: reads its directory and turns what it finds into messages. Nothing is posted
 * before the panel has said that it listens, nor while it is hidden; a panel that is shown again gets everything anew.
 */
export class TrainingPanelModel implements Disposable {
  readonly #surroundings: PanelSurroundings;
  readonly #follower: RunFollower;
  readonly #preview: PreviewReader;
  readonly #configurationFile: string;
  readonly #pass = new SerialTask(() => this.#passOnce());
  readonly #watch: FolderWatch;
  #listening = false;
  #initialDue = false;
  #disposed = false;
  #problem: string | null = null;
  #summary: RunSummary | null = null;
  #configuration: RunConfiguration | PretrainConfiguration | null = null;
  #configurationSeen = '';

  constructor(directory: string, surroundings: PanelSurroundings) {
    this.#surroundings = surroundings;
    this.#follower = new RunFollower(directory);
    const files = runFiles(directory);
    this.#preview = new PreviewReader(files.preview, file => surroundings.mayReadImage(file));
    this.#configurationFile = files.configuration;
    this.#watch = new FolderWatch(directory, POLL_INTERVAL, () => void this.#pass.run());
    void this.#pass.run();
  }

  get summary(): RunSummary | null {
    return this.#summary;
  }

  /** The panel listens: it is sent everything. */
  async ready(): Promise<void> {
    this.#listening = true;
    this.#initialDue = true;
    await this.#pass.run();
  }

  /** The panel's document is gone until it says `ready` again. */
  hidden(): void {
    this.#listening = false;
  }

  trustChanged(): void {
    this.#post({ kind: 'trust', canTrain: this.#surroundings.canTrain() });
  }

  async #passOnce(): Promise<void> {
    if (this.#disposed) return;
    try {
      const update = await this.#follower.update();
      const configurationChanged = await this.#readConfiguration();
      const summaryChanged = JSON.stringify(update.summary) !== JSON.stringify(this.#summary);
      this.#summary = update.summary;
      if (update.historyRewritten) this.#initialDue = true;
      this.#tellReadable(null);
      if (summaryChanged) this.#surroundings.summaryChanged(update.summary);
      if (this.#listening && this.#initialDue) await this.#postInitial(update.summary);
      else await this.#postIncrements(update.records, configurationChanged, summaryChanged);
    } catch (error) {
      this.#tellReadable(error instanceof Error ? error.message : String(error));
    }
  }

  async #readConfiguration(): Promise<boolean> {
    const status = await stat(this.#configurationFile);
    const signature = `${status.size}@${status.mtimeMs}`;
    if (signature === this.#configurationSeen) return false;
    this.#configuration = await readAnyConfiguration(this.#configurationFile);
    this.#configurationSeen = signature;
    return true;
  }

  async #postInitial(summary: RunSummary): Promise<void> {
    this.#initialDue = false;
    const { steps, evaluations, events } = this.#follower.history;
    this.#post({
      kind: 'initial',
      summary,
      configuration: this.#configuration,
      steps: thinSteps(steps, MAXIMUM_HISTORY_POINTS),
      evaluations: [...evaluations],
      events: [...events],
      preview: await this.#preview.read(true),
      canTrain: this.#surroundings.canTrain(),
    });
  }

  async #postIncrements(
    records: MetricRecord[],
    configurationChanged: boolean,
    summaryChanged: boolean,
  ): Promise<void> {
    if (!this.#listening) return;
    if (configurationChanged && this.#configuration !== null) {
      this.#post({ kind: 'configuration', configuration: this.#configuration });
    }
    if (records.length > 0) this.#post({ kind: 'records', ...sortRecords(records) });
    if (summaryChanged && this.#summary !== null) this.#post({ kind: 'summary', summary: this.#summary });
    const preview = await this.#preview.read(false);
    if (preview !== null) this.#post({ kind: 'preview', preview });
  }

  #tellReadable(problem: string | null): void {
    if (this.#disposed || problem === this.#problem) return;
    this.#problem = problem;
    this.#surroundings.readable(problem);
  }

  #post(message: MessageToPanel): void {
    if (this.#listening && !this.#disposed) this.#surroundings.post(message);
  }

  dispose(): void {
    this.#disposed = true;
    this.#watch.dispose();
  }
}

/** Records by kind, each in file order. */
function sortRecords(records: MetricRecord[]): {
  steps: StepRecord[];
  evaluations: EvaluationRecord[];
  events: EventRecord[];
} {
  return {
    steps: records.filter(isStep),
    evaluations: records.filter(isEvaluation),
    events: records.filter(isEvent),
  };
}
