import { setImmediate } from 'node:timers/promises';
import { writeJson } from '../checkpoints/jsonFile.ts';
import { Distiller, type StepResult } from '../distill/distiller.ts';
import { EmbeddingStore, keptRegions } from '../distill/embeddingStore.ts';
import { activationBudget, describeMemoryPlan, type MemoryUse } from '../distill/memoryPlan.ts';
import { learningRateAt } from '../distill/optimiser.ts';
import { NonFiniteLossError } from '../distill/stepErrors.ts';
import { fitPasses, type PassSizes } from '../distill/tensorLimit.ts';
import type { StepExchange } from '../distributed/stepExchange.ts';
import { anyRank, leads, type World } from '../distributed/world.ts';
import type { DeviceTensor, Engine } from '../engines/engine.ts';
import { requireHalfPrecision } from '../engines/halfPrecisionCheck.ts';
import { mebibytes } from '../engines/largestTensor.ts';
import { sizeOf } from '../graph/shape.ts';
import type { PatchSettings, SkippedImage, TrainingBatch } from '../images/batch.ts';
import { BatchLoader, loaderThreads } from '../images/batchLoader.ts';
import type { ImageList } from '../images/imageReader.ts';
import type { RegionStore } from '../images/regionStore.ts';
import { requireTransformer } from '../models/architecture.ts';
import type { EvaluationRecord, EventRecord, RunConfiguration } from '../protocol.ts';
import { CheckpointStore } from '../runs/checkpointStore.ts';
import type { Lease } from '../runs/lease.ts';
import { MetricWriter, readMetricHistory } from '../runs/metrics.ts';
import { type RunFiles, removeLeftovers } from '../runs/runDirectory.ts';
import type { RunLog } from '../runs/runLog.ts';
import type { ClassEmbeddings } from '../text/classEmbeddings.ts';
import { evaluateHeldOut, heldOutCosine } from './heldOut.ts';
import { uploadVisionParameters } from './modelParameters.ts';
import { patchPreview } from './patchPreview.ts';
import { formatDuration, progressLine, StepClock } from './progress.ts';
import { RankShare } from './rankShare.ts';
import { evaluateEpoch } from './regionEvaluation.ts';
import { loadNouns } from './regionPlan.ts';
import type { RunPlan } from './runPlan.ts';
import { imagesPerStep, scalesOf } from './settings.ts';
import { writeStudentFile } from './studentFile.ts';
import { readTrainingState, writeTrainingState } from './trainingState.ts';

const namesRegions = (record: EvaluationRecord): boolean =>
  Object.keys(record.eval).some(name => name.startsWith('rois.'));

/** Milliseconds between two writings of `preview.json`. */
const previewInterval = 1000;

export interface TrainingContext {
  /** Processes that share each step. */
  world: World;
  files: RunFiles;
  configuration: RunConfiguration;
  plan: RunPlan;
  engine: Engine;
  /** Null on ranks that do not lead. */
  lease: Lease | null;
  log: RunLog;
  /** Asked between steps: true ends the run after saving. */
  stopRequested: () => boolean;
}

export interface TrainingOutcome {
  state: 'finished' | 'stopped';
  step: number;
  /** Held-out cosine before training and at the end; null where none was measured. */
  before: number | null;
  after: number | null;
}

/**
 * One trainer's hold on a run: from the latest checkpoint to the last step, or to a stop. Of several ranks the leading one
 * writes the run directory and evaluates; the others wait for it where they next need it.
 */
export class TrainingRun {
  readonly #context: TrainingContext;
  /** Null on ranks that do not lead. */
  readonly #metrics: MetricWriter | null;
  readonly #checkpoints: CheckpointStore;
  readonly #clock: StepClock;
  readonly #share: RankShare;
  #distiller: Distiller | null = null;
  #exchange: StepExchange | null = null;
  #loader: BatchLoader | null = null;
  #step = 0;
  #firstStep = 0;
  #savedStep = -1;
  #studentStep = -1;
  /** A stop cut the evaluation of this step short. */
  #evaluationDue = false;
  #lastPreview = Number.NEGATIVE_INFINITY;
  #skipped = new Set<string>();
  #words: ClassEmbeddings | null = null;
  #before: number | null = null;
  #after: number | null = null;

  constructor(context: TrainingContext) {
    this.#context = context;
    const { world, files, configuration, log } = context;
    this.#metrics = leads(world) ? MetricWriter.open(files.metrics) : null;
    this.#checkpoints = new CheckpointStore(
      files.checkpoints,
      configuration.settings.keepCheckpoints,
      message => log.warn(message),
    );
    this.#clock = new StepClock(configuration.totalSteps);
    this.#share = new RankShare(world, configuration.settings);
  }

  /** Completed steps. */
  get step(): number {
    return this.#step;
  }

  /** Trains until the end or a stop. On a failure the run says so in its records before the error is thrown on. */
  async run(): Promise<TrainingOutcome> {
    try {
      await this.#prepare();
      const state = await this.#train();
      this.#reportExchange();
      this.#event(state);
      return { state, step: this.#step, before: this.#before, after: this.#after };
    } catch (error) {
      await this.#recordFailure(error);
      throw error;
    } finally {
      await this.#loader?.dispose();
      await this.#distiller?.dispose();
      this.#metrics?.dispose();
    }
  }

  get #settings() {
    return this.#context.configuration.settings;
  }

  #patches(images: ImageList, regions: RegionStore | null): PatchSettings {
    const { size, maxSplit, maxBoxes, seed } = this.#settings;
    const { architecture, normalisation } = this.#context.plan.model;
    const { imageSize: cropSize, patchSize } = architecture;
    // The context of proposals is nothing for the grid on which a run with labels is compared with its teacher.
    const cropScale = !regions && this.#context.plan.regions ? 1 : this.#settings.cropScale;
    const rules = { regions, maxSplit, maxBoxes, cropScale };
    return { ...images, ...rules, seed, size, cropSize, patchSize, normalisation };
  }

  /** Side of the largest student image. */
  get #largestSize(): number {
    return Math.max(this.#settings.size, ...(scalesOf(this.#settings) ?? []));
  }

  /** Regions whose embeddings are kept, the first of `trainingRegions`. */
  #keptRegions(): number {
    const { plan, log } = this.#context;
    const { teacherCacheMib } = this.#settings;
    if (teacherCacheMib === 0 || !plan.trainingRegions) return 0;
    const regions = plan.trainingRegions.boxes.length / 4;
    const kept = keptRegions(regions, plan.model.architecture.embeddingDimension, teacherCacheMib);
    log.info(`the teacher's embeddings of ${kept} of ${regions} regions are kept`);
    return kept;
  }

  /** How many images and crops go through the towers together: all of a batch, unless the engine bounds its tensors. */
  async #fitPasses(images: number): Promise<PassSizes> {
    const { engine, plan, log } = this.#context;
    const { maxBoxes, precision } = this.#settings;
    const all = { imagesPerPass: images, cropsAtOnce: images * maxBoxes };
    const limit = (await engine.largestTensorBytes?.()) ?? Number.POSITIVE_INFINITY;
    if (limit === Number.POSITIVE_INFINITY) return all;
    const { architecture } = plan.model;
    const trainable = new Set(plan.trainable);
    const sizes = { size: this.#largestSize, cropSize: architecture.imageSize };
    const fit = fitPasses({ architecture, trainable, precision, ...sizes, images, maxBoxes }, limit);
    if (fit.imagesPerPass < all.imagesPerPass || fit.cropsAtOnce < all.cropsAtOnce)
      log.info(
        `the graphics card allows tensors of ${mebibytes(limit)}: ${fit.imagesPerPass} of ${images} images at a time go through the student, ` +
          `${fit.cropsAtOnce} crops through the teacher`,
      );
    return fit;
  }

  #memoryUse(teacher: ReadonlyMap<string, DeviceTensor>, imagesPerPass: number): MemoryUse {
    const { maxBoxes } = this.#settings;
    const images = Math.min(imagesPerPass, this.#share.ownImages);
    const size = this.#largestSize;
    const { plan } = this.#context;
    const architecture = requireTransformer(plan.model.architecture, 'training');
    const count = (tensors: Iterable<DeviceTensor>): number =>
      [...tensors].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    const trainable = count(plan.trainable.map(name => teacher.get(name)!));
    const parameters = { total: count(teacher.values()), trainable };
    return { architecture, parameters, size, cropSize: architecture.imageSize, images, maxBoxes };
  }

  async #prepare(): Promise<void> {
    const { engine, plan, files, configuration, log } = this.#context;
    const { beta1, beta2, epsilon, weightDecay, size, maxBoxes, batch, memoryBudgetGib } = this.#settings;
    const { cosineWeight, retention, seed, precision } = this.#settings;
    if (precision === 'fp16') await requireHalfPrecision(engine);
    const { world } = this.#context;
    const labels = plan.regions?.words ? maxBoxes : 0;
    this.#exchange = await this.#share.exchange(engine, this.#settings, labels);
    const latest = await this.#share.latestCheckpoint(this.#checkpoints, async () => {
      await removeLeftovers(files);
      await this.#checkpoints.cleanUp();
    });
    const nouns = await loadNouns(engine, plan.regions, seed);
    const teacher = await uploadVisionParameters(engine, plan.model.weightsFile);
    const kept = this.#keptRegions();
    const { embeddingDimension } = plan.model.architecture;
    const embeddings = kept > 0 ? new EmbeddingStore(kept, embeddingDimension) : null;
    const memoryBudget = memoryBudgetGib * 2 ** 30 - 4 * kept * embeddingDimension;
    const passes = await this.#fitPasses(batch);
    const memoryUse = this.#memoryUse(teacher, passes.imagesPerPass);
    this.#distiller = await Distiller.create(engine, plan.model.architecture, teacher, plan.trainable, {
      size,
      cropSize: plan.model.architecture.imageSize,
      maxBoxes,
      optimiser: { beta1, beta2, epsilon, weightDecay },
      precision,
      activationBudget: activationBudget(memoryBudget, memoryUse),
      ...passes,
      cosineWeight,
      retention,
      nouns,
      embeddings,
      peers: this.#exchange,
    });
    log.info(describeMemoryPlan(this.#distiller.activationPlan(memoryUse.images), memoryBudget, memoryUse));
    if (world.size > 1) log.info(this.#share.description);
    const history = await readMetricHistory(files.metrics);
    if (latest) {
      await readTrainingState(latest, this.#distiller, plan.trainable);
      this.#step = latest.step;
      this.#firstStep = latest.step;
      this.#savedStep = latest.step;
    }
    if (history.events.length > 0) {
      this.#event('resumed');
      log.info(`resumed after step ${this.#step} of ${configuration.totalSteps}`);
    } else this.#event('started');
    for (const warning of plan.warnings) this.#warn(warning);

    const evaluations = history.evaluations.filter(({ eval: { step } }) => step <= this.#step);
    const compared = evaluations.filter(record => heldOutCosine in record.eval);
    this.#before = compared.find(record => record.eval.epoch === 0)?.eval[heldOutCosine] ?? null;
    this.#after = compared.at(-1)?.eval[heldOutCosine] ?? null;
    if (this.#isEpochEnd(this.#step)) {
      const here = evaluations.filter(record => record.eval.step === this.#step);
      await this.#evaluate({
        heldOut: here.some(record => heldOutCosine in record.eval),
        regions: here.some(namesRegions),
      });
    }
    this.#loader = new BatchLoader({
      ...this.#patches(plan.training, plan.trainingRegions),
      scales: scalesOf(this.#settings),
      wholeImages: retention > 0,
      batch: imagesPerStep(this.#settings),
      share: this.#share.share,
      keptRegions: kept,
      // Large batches fill the memory soon.
      ...(this.#share.ownImages > batch ? { ahead: 1 } : { threads: loaderThreads() }),
      totalSteps: configuration.totalSteps,
    });
  }

  async #train(): Promise<'finished' | 'stopped'> {
    const { world, configuration, stopRequested } = this.#context;
    while (this.#step < configuration.totalSteps) {
      // Signals and requests on the control pipe are heard here.
      await setImmediate();
      if (await anyRank(world, stopRequested())) return this.#stop();
      await this.#oneStep();
      const epochEnded = this.#isEpochEnd(this.#step);
      const saves = epochEnded || this.#step % this.#settings.checkpointEvery === 0;
      if (saves || this.#step % this.#settings.compareWeightsEvery === 0) await this.#compareWeights();
      if (saves) await this.#save();
      if (epochEnded) {
        await this.#writeStudent();
        await this.#evaluate();
      }
    }
    await this.#writeStudent();
    return this.#evaluationDue ? this.#stopped() : 'finished';
  }

  async #compareWeights(): Promise<void> {
    if (!this.#exchange) return;
    const { engine, plan } = this.#context;
    const weights = plan.trainable.map(name => this.#distiller!.studentParameters.get(name)!);
    await this.#share.compareWeights(engine, weights, this.#step);
  }

  #reportExchange(): void {
    const steps = this.#step - this.#firstStep;
    if (this.#exchange && steps > 0) this.#context.log.info(this.#share.exchanged(this.#exchange, steps));
  }

  async #stop(): Promise<'stopped'> {
    await this.#compareWeights();
    return this.#stopped();
  }

  async #stopped(): Promise<'stopped'> {
    await this.#save();
    await this.#writeStudent();
    this.#context.log.info(`stopped after step ${this.#step}; the same command resumes`);
    return 'stopped';
  }

  #isEpochEnd(step: number): boolean {
    return step % this.#context.configuration.stepsPerEpoch === 0;
  }

  async #oneStep(): Promise<void> {
    const { configuration, log } = this.#context;
    const { learningRate, warmup } = this.#settings;
    const started = performance.now();
    const index = this.#step;
    const batch = await this.#loader!.next(index);
    const waited = (performance.now() - started) / 1000;
    this.#reportSkipped(batch.skipped);
    const lr = learningRateAt(this.#step, learningRate, warmup, configuration.totalSteps);
    const result = await this.#distiller!.step(batch, this.#step + 1, lr);
    this.#step++;
    const seconds = (performance.now() - started) / 1000;
    this.#clock.add(seconds);
    const record = {
      step: this.#step,
      epoch: Math.ceil(this.#step / configuration.stepsPerEpoch),
      loss: result.loss,
      lr,
      gradNorm: result.gradNorm,
      imagesPerSecond: imagesPerStep(this.#settings) / seconds,
      dataWait: waited / seconds,
      ...(result.lossScale === null ? {} : this.#scaleRecord(result.lossScale)),
      memoryMib: Math.round(process.memoryUsage.rss() / 2 ** 20),
      time: Date.now(),
    };
    this.#metrics?.write(record);
    if (result.skipped)
      log.info(
        `step ${this.#step} was skipped: its gradients overflowed half precision; the loss scale is ${this.#distiller!.lossScale!.scale} now`,
      );
    log.progress(progressLine(record, configuration, this.#clock.remainingSeconds(this.#step)));
    await this.#preview(batch, result);
    this.#loader!.giveBack(index, batch);
  }

  #scaleRecord(lossScale: number): { lossScale: number; skippedSteps: number } {
    return { lossScale, skippedSteps: this.#distiller!.lossScale!.skippedSteps };
  }

  /** Each unusable image is named once in a trainer's life. */
  #reportSkipped(skipped: readonly SkippedImage[]): void {
    for (const { file, reason } of skipped) {
      const message = `skipped ${file}: ${reason}`;
      if (this.#skipped.has(message)) continue;
      this.#skipped.add(message);
      this.#warn(`${message} (${this.#skipped.size} so far)`);
    }
  }

  async #preview(batch: TrainingBatch, result: StepResult): Promise<void> {
    if (!leads(this.#context.world)) return;
    const due = performance.now() - this.#lastPreview >= previewInterval;
    if (!due && this.#step !== this.#context.configuration.totalSteps) return;
    this.#lastPreview = performance.now();
    await writeJson(this.#context.files.preview, patchPreview(this.#step, batch, result));
  }

  /** @param done What has been measured at this step already. */
  async #evaluate(done = { heldOut: false, regions: false }): Promise<void> {
    if (!leads(this.#context.world)) return;
    if (!done.heldOut) await this.#compareHeldOut();
    if (!done.regions && !this.#evaluationDue) await this.#nameRegions();
  }

  /** Regions named with words, on the blend; before training on the model as it came. */
  async #nameRegions(): Promise<void> {
    const { engine, plan, files, configuration, stopRequested, log } = this.#context;
    if (!plan.evaluation) return;
    const epoch = this.#step / configuration.stepsPerEpoch;
    if (epoch > 0) await this.#writeStudent();
    this.#words ??= await plan.evaluation.words.load(engine);
    const place = { files, source: plan.model, epoch, step: this.#step };
    const report = await evaluateEpoch(engine, plan.evaluation, this.#words, place, {
      stopped: stopRequested,
      progress: (done, total, secondsLeft) =>
        log.progress(`naming regions: image ${done}/${total}  ${formatDuration(secondsLeft)} left`),
    });
    this.#evaluationDue = report === null;
    if (!report) return;
    const known = Object.entries(report.numbers).filter(([, number]) => number !== null);
    this.#metrics?.write({
      eval: { epoch, step: this.#step, time: Date.now(), ...Object.fromEntries(known) },
    });
    const { regions, images } = report.counts;
    log.info(`epoch ${epoch}: ${regions} regions of ${images} images named`);
  }

  async #compareHeldOut(): Promise<void> {
    const { engine, plan, configuration, stopRequested, log } = this.#context;
    if (plan.heldOut.files.length === 0) return;
    log.progress(`comparing student and teacher on ${plan.heldOut.files.length} held-out images`);
    const patches = this.#patches(plan.heldOut, plan.heldOutRegions);
    const result = await evaluateHeldOut(
      engine,
      this.#distiller!,
      patches,
      this.#settings.blend,
      stopRequested,
    );
    this.#evaluationDue = result === null;
    if (!result) return;
    this.#reportSkipped(result.skipped);
    if (result.patches === 0) return;
    const epoch = this.#step / configuration.stepsPerEpoch;
    const { cosine, patches: count } = result;
    this.#metrics?.write({
      eval: { epoch, step: this.#step, time: Date.now(), [heldOutCosine]: cosine },
    });
    if (this.#step === 0) this.#before = cosine;
    this.#after = cosine;
    log.info(`epoch ${epoch}: mean student/teacher cosine ${cosine.toFixed(4)} on ${count} held-out patches`);
  }

  async #save(options?: { prune: boolean }): Promise<void> {
    const { engine, plan, lease, files } = this.#context;
    if (!lease || this.#savedStep === this.#step) return;
    if (!(await lease.isHeld()))
      throw new Error(
        `${files.lease} was removed or replaced: another trainer may have taken the run. Resume it there`,
      );
    const write = (directory: string) =>
      writeTrainingState(directory, engine, this.#distiller!, plan.trainable);
    await this.#checkpoints.save(this.#step, write, options);
    this.#savedStep = this.#step;
  }

  async #writeStudent(): Promise<void> {
    if (!leads(this.#context.world) || this.#studentStep === this.#step) return;
    const { engine, plan, files } = this.#context;
    await writeStudentFile(
      files.student,
      plan.model,
      engine,
      this.#distiller!,
      plan.trainable,
      this.#settings.blend,
    );
    this.#studentStep = this.#step;
  }

  async #recordFailure(error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    try {
      // The weights before a loss that is no number are there to look at, beside the earlier ones.
      if (error instanceof NonFiniteLossError && this.#step > 0) await this.#save({ prune: false });
      this.#event('failed', message);
    } catch {
      // The first failure is the one to report.
    }
  }

  #warn(message: string): void {
    this.#context.log.warn(message);
    this.#event('warning', message);
  }

  #event(kind: EventRecord['event']['kind'], message?: string): void {
    const event = { kind, step: this.#step, time: Date.now() };
    this.#metrics?.write({ event: message === undefined ? event : { ...event, message } });
  }
}
