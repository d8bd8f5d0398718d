import {
  type ReadRun,
  readStatedConfiguration,
  type StatedConfiguration,
} from '../trainer/compare/comparedRun.ts';
import { runCurves } from '../trainer/compare/curves.ts';
import { runFiles } from '../trainer/runs/runDirectory.ts';
import { type CurvesMessage, MOST_STEPS } from '../webview/comparison/protocol.ts';
import { fileSignature } from './fileSignature.ts';
import { RunFollower } from './runFollower.ts';
import { thinSteps } from './thinning.ts';

/** One run of a comparison, followed by its directory. */
export class FollowedRun {
  readonly directory: string;
  #follower: RunFollower;
  #configuration: StatedConfiguration | null = null;
  #configurationSeen = '';
  #read: ReadRun;
  #rewritten = true;
  /** Last step, and number of evaluations, that the panel was sent; null when it has nothing. */
  #sent: { step: number; evaluations: number } | null = null;
  #student = '';

  constructor(directory: string) {
    this.directory = directory;
    this.#follower = new RunFollower(directory);
    this.#read = { directory, problem: 'It has not been read yet.' };
  }

  get run(): ReadRun {
    return this.#read;
  }

  /** Changes when the run's student is written anew, comes or goes. */
  get student(): string {
    return this.#student;
  }

  /** Looks at the directory again; a run that is gone or broken says so until it is back. */
  async update(): Promise<void> {
    const { directory } = this;
    this.#student = await fileSignature(runFiles(directory).student);
    try {
      const file = await fileSignature(runFiles(directory).configuration);
      if (this.#configuration === null || file !== this.#configurationSeen) {
        this.#configuration = await readStatedConfiguration(directory);
        this.#configurationSeen = file;
      }
      const { historyRewritten, summary } = await this.#follower.update();
      this.#rewritten ||= historyRewritten;
      const { history } = this.#follower;
      this.#read = { directory, problem: null, configuration: this.#configuration, history, summary };
    } catch (error) {
      this.#configuration = null;
      this.#follower = new RunFollower(directory);
      this.#rewritten = true;
      this.#read = { directory, problem: error instanceof Error ? error.message : String(error) };
    }
  }

  /** The panel has nothing of this run any more. */
  forgetSent(): void {
    this.#sent = null;
  }

  /** What the panel does not have yet; null when it has everything. */
  news(): CurvesMessage | null {
    const run = this.#read;
    if (run.problem !== null) {
      if (this.#sent?.step === -1) return null;
      this.#sent = { step: -1, evaluations: 0 };
      return { kind: 'curves', directory: this.directory, replace: true, steps: [], evaluations: [] };
    }
    const { stepsPerEpoch } = run.configuration.configuration;
    const last = run.history.steps.at(-1)?.step ?? 0;
    const count = run.history.evaluations.length;
    const sent = this.#rewritten ? null : this.#sent;
    if (sent !== null && sent.step === last && sent.evaluations === count) return null;
    const { steps, evaluations } = runCurves(run.history, stepsPerEpoch);
    this.#rewritten = false;
    this.#sent = { step: last, evaluations: count };
    if (sent === null || sent.step < 0) {
      const kept = new Set(thinSteps(run.history.steps, MOST_STEPS).map(({ step }) => step));
      const shown = steps.filter(({ step }) => kept.has(step));
      return { kind: 'curves', directory: this.directory, replace: true, steps: shown, evaluations };
    }
    return {
      kind: 'curves',
      directory: this.directory,
      replace: false,
      steps: steps.filter(({ step }) => step > sent.step),
      evaluations: evaluations.slice(sent.evaluations),
    };
  }
}
