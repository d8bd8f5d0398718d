import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { writeText } from '../checkpoints/atomicFile.ts';
import { learningRateAt } from '../distill/optimiser.ts';
import { disposeAll, type Engine } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import type { PretrainConfiguration } from '../protocol.ts';
import { CheckpointStore } from '../runs/checkpointStore.ts';
import { type Lease, requireHeld } from '../runs/lease.ts';
import { readMetricHistory } from '../runs/metrics.ts';
import { type RunFiles, removeLeftovers } from '../runs/runDirectory.ts';
import type { RunLog } from '../runs/runLog.ts';
import { RunRecords } from '../runs/runRecords.ts';
import { StepReports } from '../training/stepReports.ts';
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
import { readStart } from './startingWeights.ts';
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
  readonly #records: RunRecords;
  readonly #reports: StepReports;
  readonly #checkpoints: CheckpointStore;
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
    const { settings } = configuration;
    const { beta1, beta2, epsilon, weightDecay, batch, groups, clip, seed, keepCheckpoints } = settings;
    this.#records = new RunRecords(files, true, log);
    this.#reports = new StepReports(this.#records, log, configuration);
    this.#checkpoints = new CheckpointStore(files.checkpoints, keepCheckpoints, message => log.warn(message));
    this.#textPrograms = new ProgramCache(engine);
    this.#trainer = new ContrastiveTrainer(engine, model.encoder, initialWeights(model.encoder, seed), {
      ...{ batch, groups, clip },
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
      this.#records.event(state, this.#step);
      return { state, step: this.#step, scores: this.#scores };
    } catch (error) {
      this.#records.fail(this.#step, error);
      throw error;
    } finally {
      await this.#loader?.dispose();
      await this.#evaluation?.dispose();
      await this.#textPrograms.dispose();
      await this.#trainer.dispose();
      this.#records.dispose();
    }
  }

  get #settings() {
    return this.#context.configuration.settings;
  }

  async #prepare(): Promise<void> {
    const { files, configuration, model, workers } = this.#context;
    await removeLeftovers(files);
    await this.#checkpoints.cleanUp();
    const latest = await this.#checkpoints.latest();
    const history = await readMetricHistory(files.metrics);
    if (latest) {
      await readPretrainState(latest, this.#trainer);
      this.#step = latest.step;
      this.#savedStep = latest.step;
    } else if (configuration.startHash !== null) {
      const weights = await readStart(configuration, model);
      this.#trainer.restoreWeights(name => weights.get(name)!);
    }
    this.#records.begin(history, this.#step, configuration.totalSteps);
    const evaluated = history.evaluations.filter(({ eval: { step } }) => step <= this.#step).at(-1)?.eval;
    if (evaluated) {
      const { epoch: _, time: __, step, ...scores } = evaluated;
      this.#evaluatedStep = step;
      this.#scores = scores;
    }
    const { seed, styles, batch, groups, sceneSize, ramp } = this.#settings;
    const { totalSteps } = configuration;
    const settings = {
      ...{ seed, batch, sceneSize, styles: parseStyleList(styles) },
      cropSize: model.encoder.image.imageSize,
      normalisation: model.configuration.normalisation,
      prompts: model.words.prompts[0]!.length,
      rampSteps: Math.round(ramp * totalSteps) * groups,
    };
    const sprites = await loadStyles(settings.styles);
    this.#loader = new PairLoader({ settings, sprites, total: totalSteps * groups, workers });
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
    const { learningRate, warmup, batch, groups } = this.#settings;
    const started = performance.now();
    const { pairs, waited } = await this.#nextPairs();
    const lr = learningRateAt(this.#step, learningRate, warmup, this.#context.configuration.totalSteps);
    const { loss, gradNorm } = await this.#trainer.step(pairs, this.#step + 1, lr);
    this.#step++;
    const seconds = (performance.now() - started) / 1000;
    this.#reports.report({
      ...{ step: this.#step, loss, lr, gradNorm },
      ...{ images: batch * groups, seconds, waited },
    });
  }

  /** The groups of a step side by side, and the seconds that they were waited for. */
  async #nextPairs(): Promise<{ pairs: PairBatch; waited: number }> {
    const { groups } = this.#settings;
    const started = performance.now();
    const items: CropBatch[] = [];
    for (let group = 0; group < groups; group++)
      items.push(await this.#loader!.next(this.#step * groups + group));
    const waited = (performance.now() - started) / 1000;
    const pixels = new Float32Array(items.reduce((sum, item) => sum + item.pixels.length, 0));
    let start = 0;
    for (const item of items) {
      pixels.set(item.pixels, start);
      start += item.pixels.length;
    }
    return { pairs: { pixels, ids: this.#tokens(items) }, waited };
  }

  #tokens(items: readonly CropBatch[]): Int32Array {
    const { words, encoder } = this.#context.model;
    const { contextLength } = encoder.text.architecture;
    const texts = items.flatMap(({ labels, prompts }) =>
      Array.from(labels, (label, row) => words.tokens(label, prompts[row]!)),
    );
    const ids = new Int32Array(texts.length * contextLength);
    texts.forEach((tokens, row) => {
      ids.set(tokens, row * contextLength);
    });
    return ids;
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
    const parameters = await this.#trainer.upload();
    const classes = await thingDirections(engine, model, parameters, this.#textPrograms);
    const measured = await this.#evaluation.measure(parameters, classes, stopRequested);
    disposeAll(parameters.values());
    if (!measured) return false;
    const scores = recordedScores(measured, parseStyleList(styles));
    const epoch = this.#step / configuration.stepsPerEpoch;
    this.#records.write({ eval: { epoch, step: this.#step, time: Date.now(), ...scores } });
    this.#evaluatedStep = this.#step;
    this.#scores = scores;
    log.info(`step ${this.#step}: zero-shot accuracy on crops: ${describeScores(scores)}`);
    return true;
  }

  async #save(): Promise<void> {
    if (this.#savedStep === this.#step) return;
    const { lease, files } = this.#context;
    await requireHeld(lease, files);
    await this.#checkpoints.save(this.#step, directory => writePretrainState(directory, this.#trainer));
    this.#savedStep = this.#step;
  }

  async #writeModel(): Promise<void> {
    if (this.#modelStep === this.#step) return;
    const { files, model } = this.#context;
    await writePretrainedModel(files.directory, model, (await this.#trainer.read()).weights);
    const text = attribution(parseStyleList(this.#settings.styles), 'model');
    await writeText(path.join(files.directory, 'ATTRIBUTION.md'), text);
    this.#modelStep = this.#step;
  }
}
