import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { writeText } from '../checkpoints/atomicFile.ts';
import { learningRateAt } from '../distill/optimiser.ts';
import type { Engine } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import type { EventRecord, PretrainConfiguration } from '../protocol.ts';
import { CheckpointStore } from '../runs/checkpointStore.ts';
import type { Lease } from '../runs/lease.ts';
import { MetricWriter, readMetricHistory } from '../runs/metrics.ts';
import { type RunFiles, removeLeftovers } from '../runs/runDirectory.ts';
import type { RunLog } from '../runs/runLog.ts';
import { progressLine, StepClock } from '../training/progress.ts';
import { attribution } from '../world/attribution.ts';
import { loadStyles } from '../world/icons.ts';
import { parseStyleList } from '../world/styleList.ts';
import { styleNames } from '../world/styles.ts';
import { ContrastiveTrainer, type PairBatch } from './contrastiveTrainer.ts';
import { initialWeights } from './initialWeights.ts';
import type { CropBatch } from './pairCrops.ts';
import { PairLoader } from './pairLoader.ts';
import { type PretrainModel, writePretrainedModel } from './pretrainModel.ts';
import { readPretrainState, writePretrainState } from './pretrainState.ts';
import { thingDirections } from './thingDirections.ts';
import { describeScores, recordedScores, ZeroShotEvaluation } from './zeroShot.ts';

export interface PretrainContext {
  files: RunFiles;
  configuration: PretrainConfiguration;
  model: PretrainModel;
  engine: Engine;
  lease: Lease;
  log: RunLog;
  /** Threads that render pairs; the run is the same whatever their number. */
  workers: number;
  /** Asked between steps: true ends the run after saving. */
  stopRequested: () => boolean;
}

export interface PretrainOutcome {
  state: 'finished' | 'stopped';
  step: number;
  /** The latest evaluation; null when there was none. */
  scores: Record<string, number> | null;
}

/** One trainer's hold on a pre-training: from the latest checkpoint to the last step, or to a stop. */
export class PretrainRun {
  readonly #context: PretrainContext;
  readonly #metrics: MetricWriter;
  readonly #checkpoints: CheckpointStore;
  readonly #clock: StepClock;
  readonly #trainer: ContrastiveTrainer;
  readonly #textPrograms: ProgramCache;
  #loader: PairLoader | null = null;
  #evaluation: ZeroShotEvaluation | null = null;
  #step = 0;
  #savedStep = -1;
  #modelStep = -1;
  #evaluatedStep = -1;
  #scores: Record<string, number> | null = null;

  constructor(context: PretrainContext) {
    this.#context = context;
    const { files, configuration, engine, model, log } = context;
    const { beta1, beta2, epsilon, weightDecay, batch, clip, seed, keepCheckpoints } = configuration.settings;
    this.#metrics = MetricWriter.open(files.metrics);
    this.#checkpoints = new CheckpointStore(files.checkpoints, keepCheckpoints, message => log.warn(message));
    this.#clock = new StepClock(configuration.totalSteps);
    this.#textPrograms = new ProgramCache(engine);
    this.#trainer = new ContrastiveTrainer(engine, model.encoder, initialWeights(model.encoder, seed), {
      batch,
      clip,
      optimiser: { beta1, beta2, epsilon, weightDecay },
    });
  }

  /** Completed steps. */
  get step(): number {
    return this.#step;
  }

  /** Trains until the end or a stop. On a failure the run says so in its records before the error is thrown on. */
  async run(): Promise<PretrainOutcome> {
    try {
      await this.#prepare();
      const state = await this.#train();
      this.#event(state);
      return { state, step: this.#step, scores: this.#scores };
    } catch (error) {
      this.#recordFailure(error);
      throw error;
    } finally {
      await this.#loader?.dispose();
      await this.#evaluation?.dispose();
      await this.#textPrograms.dispose();
      await this.#trainer.dispose();
      this.#metrics.dispose();
    }
  }

  get #settings() {
    return this.#context.configuration.settings;
  }

  async #prepare(): Promise<void> {
    const { files, configuration, model, log, workers } = this.#context;
    await removeLeftovers(files);
    await this.#checkpoints.cleanUp();
    const latest = await this.#checkpoints.latest();
    const history = await readMetricHistory(files.metrics);
    if (latest) {
      await readPretrainState(latest, this.#trainer);
      this.#step = latest.step;
      this.#savedStep = latest.step;
    }
    if (history.events.length > 0) {
      this.#event('resumed');
      log.info(`resumed after step ${this.#step} of ${configuration.totalSteps}`);
    } else this.#event('started');
    const evaluated = history.evaluations.filter(({ eval: { step } }) => step <= this.#step).at(-1)?.eval;
    if (evaluated) {
      const { epoch: _, time: __, step, ...scores } = evaluated;
      this.#evaluatedStep = step;
      this.#scores = scores;
    }
    const { seed, styles, batch, sceneSize, ramp } = this.#settings;
    const settings = {
      ...{ seed, batch, sceneSize, styles: parseStyleList(styles) },
      cropSize: model.encoder.image.imageSize,
      normalisation: model.configuration.normalisation,
      prompts: model.words.prompts[0]!.length,
      rampSteps: Math.round(ramp * configuration.totalSteps),
    };
    const sprites = await loadStyles(settings.styles);
    const { totalSteps } = configuration;
    this.#loader = new PairLoader({ settings, sprites, totalSteps, workers });
  }

  async #train(): Promise<'finished' | 'stopped'> {
    const { configuration, stopRequested } = this.#context;
    if (!(await this.#atEpochEnd())) return this.#stop();
    while (this.#step < configuration.totalSteps) {
      // Signals and requests on the control pipe are heard here.
      await setImmediate();
      if (stopRequested()) return this.#stop();
      await this.#oneStep();
      if (!(await this.#atEpochEnd())) return this.#stop();
    }
    return 'finished';
  }

  async #stop(): Promise<'stopped'> {
    await this.#save();
    await this.#writeModel();
    this.#context.log.info(`stopped after step ${this.#step}; the same command resumes`);
    return 'stopped';
  }

  /** Saves and evaluates where an epoch or the run ends. False when a stop cut the evaluation short. */
  async #atEpochEnd(): Promise<boolean> {
    const { stepsPerEpoch, totalSteps } = this.#context.configuration;
    if (this.#step % stepsPerEpoch !== 0 && this.#step !== totalSteps) return true;
    if (this.#step > 0) await this.#save();
    await this.#writeModel();
    return this.#evaluatedStep === this.#step || this.#evaluate();
  }

  async #oneStep(): Promise<void> {
    const { configuration, log } = this.#context;
    const { learningRate, warmup, batch } = this.#settings;
    const started = performance.now();
    const pairs = this.#withTexts(await this.#loader!.next(this.#step));
    const lr = learningRateAt(this.#step, learningRate, warmup, configuration.totalSteps);
    const result = await this.#trainer.step(pairs, this.#step + 1, lr);
    this.#step++;
    const seconds = (performance.now() - started) / 1000;
    this.#clock.add(seconds);
    const record = {
      step: this.#step,
      epoch: Math.ceil(this.#step / configuration.stepsPerEpoch),
      loss: result.loss,
      lr,
      gradNorm: result.gradNorm,
      imagesPerSecond: batch / seconds,
      memoryMib: Math.round(process.memoryUsage.rss() / 2 ** 20),
      time: Date.now(),
    };
    this.#metrics.write(record);
    log.progress(progressLine(record, configuration, this.#clock.remainingSeconds(this.#step)));
  }

  #withTexts({ pixels, labels, prompts }: CropBatch): PairBatch {
    const { words, encoder } = this.#context.model;
    const { contextLength } = encoder.text.architecture;
    const ids = new Int32Array(labels.length * contextLength);
    labels.forEach((label, row) => {
      ids.set(words.tokens(label, prompts[row]!), row * contextLength);
    });
    return { pixels, ids };
  }

  /** False when a stop cut it short. */
  async #evaluate(): Promise<boolean> {
    const { engine, model, configuration, stopRequested, log } = this.#context;
    const { evaluationCrops, seed, styles } = this.#settings;
    log.progress(`naming ${evaluationCrops} crops of each style`);
    this.#evaluation ??= await ZeroShotEvaluation.create(
      engine,
      model.configuration,
      styleNames,
      evaluationCrops,
      seed,
    );
    const { parameters } = this.#trainer;
    const classes = await thingDirections(engine, model, parameters, this.#textPrograms);
    const measured = await this.#evaluation.measure(parameters, classes, stopRequested);
    if (!measured) return false;
    const scores = recordedScores(measured, parseStyleList(styles));
    const epoch = this.#step / configuration.stepsPerEpoch;
    this.#metrics.write({ eval: { epoch, step: this.#step, time: Date.now(), ...scores } });
    this.#evaluatedStep = this.#step;
    this.#scores = scores;
    log.info(`step ${this.#step}: zero-shot accuracy on crops: ${describeScores(scores)}`);
    return true;
  }

  async #save(): Promise<void> {
    if (this.#savedStep === this.#step) return;
    const { engine, lease, files } = this.#context;
    if (!(await lease.isHeld()))
      throw new Error(
        `${files.lease} was removed or replaced: another trainer may have taken the run. Resume it there`,
      );
    await this.#checkpoints.save(this.#step, directory =>
      writePretrainState(directory, engine, this.#trainer),
    );
    this.#savedStep = this.#step;
  }

  async #writeModel(): Promise<void> {
    if (this.#modelStep === this.#step) return;
    const { files, model, engine } = this.#context;
    await writePretrainedModel(files.directory, model, engine, this.#trainer.parameters);
    const text = attribution(parseStyleList(this.#settings.styles), 'model');
    await writeText(path.join(files.directory, 'ATTRIBUTION.md'), text);
    this.#modelStep = this.#step;
  }

  #recordFailure(error: unknown): void {
    try {
      this.#event('failed', error instanceof Error ? error.message : String(error));
    } catch {
      // The first failure is the one to report.
    }
  }

  #event(kind: EventRecord['event']['kind'], message?: string): void {
    const event = { kind, step: this.#step, time: Date.now() };
    this.#metrics.write({ event: message === undefined ? event : { ...event, message } });
  }
}
