import { setImmediate } from 'node:timers/promises';
import type { Distiller, StepResult } from '../distill/distiller.ts';
import { learningRateAt } from '../distill/optimiser.ts';
import { NonFiniteLossError } from '../distill/stepErrors.ts';
import type { StepExchange } from '../distributed/stepExchange.ts';
import { anyRank, leads } from '../distributed/world.ts';
import { requireHalfPrecision } from '../engines/halfPrecisionCheck.ts';
import type { TrainingBatch } from '../images/batch.ts';
import { BatchLoader, loaderThreads } from '../images/batchLoader.ts';
import { type Checkpoint, CheckpointStore } from '../runs/checkpointStore.ts';
import { readMetricHistory } from '../runs/metrics.ts';
import { removeLeftovers } from '../runs/runDirectory.ts';
import { RunRecords } from '../runs/runRecords.ts';
import { EpochEvaluations } from './epochEvaluations.ts';
import { heldOutAgreement } from './heldOut.ts';
import { openDistiller } from './openDistiller.ts';
import { PreviewFile } from './patchPreview.ts';
import { patchSettingsOf } from './patchSettings.ts';
import { RankShare } from './rankShare.ts';
import { imagesPerStep, scalesOf } from './settings.ts';
import { SkippedImages } from './skippedImages.ts';
import { StepReports } from './stepReports.ts';
import type { TrainingContext, TrainingOutcome } from './trainingContext.ts';
import { WeightFiles } from './weightFiles.ts';

/** What steps are made with. */
interface Workshop {
  distiller: Distiller;
  weights: WeightFiles;
  evaluations: EpochEvaluations;
  /** Null where gradients stay with their rank. */
  exchange: StepExchange | null;
  /** Regions whose embeddings are kept, the first of those that are trained on. */
  keptRegions: number;
}

/**
 * One trainer's hold on a run: from the latest checkpoint to the last step, or to a stop. Of several ranks the leading one
 * writes the run directory and evaluates; the others wait for it where they next need it.
 */
export class TrainingRun {
  readonly #context: TrainingContext;
  readonly #records: RunRecords;
  readonly #reports: StepReports;
  readonly #preview: PreviewFile;
  readonly #skipped: SkippedImages;
  readonly #checkpoints: CheckpointStore;
  readonly #share: RankShare;
  #workshop: Workshop | null = null;
  #loader: BatchLoader | null = null;
  #step = 0;

  constructor(context: TrainingContext) {
    this.#context = context;
    const { world, files, configuration, log } = context;
    const { keepCheckpoints } = configuration.settings;
    this.#records = new RunRecords(files, leads(world), log);
    this.#reports = new StepReports(this.#records, log, configuration);
    this.#preview = new PreviewFile(files.preview, configuration.totalSteps);
    this.#skipped = new SkippedImages(this.#records);
    this.#checkpoints = new CheckpointStore(files.checkpoints, keepCheckpoints, message => log.warn(message));
    this.#share = new RankShare(world, configuration.settings);
  }

  /** Completed steps. */
  get step(): number {
    return this.#step;
  }

  get #settings() {
    return this.#context.configuration.settings;
  }

  /** Trains until the end or a stop. On a failure the run says so in its records before the error is thrown on. */
  async run(): Promise<TrainingOutcome> {
    const { files, log } = this.#context;
    try {
      const workshop = await this.#open();
      await this.#begin(workshop);
      this.#loader = this.#openLoader(workshop);
      const first = this.#step;
      const state = await this.#train(workshop, this.#loader);
      const { exchange } = workshop;
      if (exchange && this.#step > first) log.info(this.#share.exchanged(exchange, this.#step - first));
      this.#records.event(state, this.#step);
      const { evaluations } = await readMetricHistory(files.metrics);
      return { state, step: this.#step, ...heldOutAgreement(evaluations) };
    } catch (error) {
      await this.#recordFailure(error);
      throw error;
    } finally {
      await this.#loader?.dispose();
      await this.#workshop?.distiller.dispose();
      this.#records.dispose();
    }
  }

  /** Teacher and student at the latest checkpoint. */
  async #open(): Promise<Workshop> {
    const { world, engine, plan, log } = this.#context;
    const { precision, maxBoxes } = this.#settings;
    if (precision === 'fp16') await requireHalfPrecision(engine);
    const labels = plan.regions?.words ? maxBoxes : 0;
    const exchange = await this.#share.exchange(engine, this.#settings, labels);
    const latest = await this.#latestCheckpoint();
    const opened = await openDistiller(this.#context, this.#share.ownImages, exchange);
    const weights = new WeightFiles(this.#context, this.#checkpoints, opened.distiller);
    const evaluations = new EpochEvaluations(
      this.#context,
      opened.distiller,
      weights,
      this.#records,
      this.#skipped,
    );
    this.#workshop = { ...opened, weights, evaluations, exchange };
    if (world.size > 1) log.info(this.#share.description);
    if (latest) await weights.restore(latest);
    this.#step = latest?.step ?? 0;
    return this.#workshop;
  }

  #latestCheckpoint(): Promise<Checkpoint | null> {
    return this.#share.latestCheckpoint(this.#checkpoints, async () => {
      await removeLeftovers(this.#context.files);
      await this.#checkpoints.cleanUp();
    });
  }

  /** Notes that the run begins, or goes on, and measures what is to be measured at this step. */
  async #begin({ evaluations }: Workshop): Promise<void> {
    const { plan, files, configuration } = this.#context;
    const history = await readMetricHistory(files.metrics);
    this.#records.begin(history, this.#step, configuration.totalSteps);
    for (const warning of plan.warnings) this.#records.warn(this.#step, warning);
    if (this.#isEpochEnd()) await evaluations.evaluate(this.#step, history.evaluations);
  }

  #openLoader({ keptRegions }: Workshop): BatchLoader {
    const { plan, configuration } = this.#context;
    const { batch, retention } = this.#settings;
    return new BatchLoader({
      ...patchSettingsOf(plan, this.#settings, plan.training, plan.trainingRegions),
      scales: scalesOf(this.#settings),
      wholeImages: retention > 0,
      batch: imagesPerStep(this.#settings),
      share: this.#share.share,
      keptRegions,
      // Large batches fill the memory soon.
      ...(this.#share.ownImages > batch ? { ahead: 1 } : { threads: loaderThreads() }),
      totalSteps: configuration.totalSteps,
    });
  }

  async #train(workshop: Workshop, loader: BatchLoader): Promise<'finished' | 'stopped'> {
    const { world, configuration, stopRequested } = this.#context;
    const { checkpointEvery, compareWeightsEvery } = this.#settings;
    const { weights, evaluations } = workshop;
    while (this.#step < configuration.totalSteps) {
      // Signals and requests on the control pipe are heard here.
      await setImmediate();
      if (await anyRank(world, stopRequested())) {
        await this.#compareWeights(workshop);
        return this.#stop(workshop);
      }
      await this.#oneStep(workshop, loader);
      const saves = this.#isEpochEnd() || this.#step % checkpointEvery === 0;
      if (saves || this.#step % compareWeightsEvery === 0) await this.#compareWeights(workshop);
      if (saves) await weights.save(this.#step);
      if (!this.#isEpochEnd()) continue;
      await weights.writeStudent(this.#step);
      await evaluations.evaluate(this.#step);
    }
    await weights.writeStudent(this.#step);
    return evaluations.cutShort ? this.#stop(workshop) : 'finished';
  }

  async #oneStep({ distiller }: Workshop, loader: BatchLoader): Promise<void> {
    const { configuration } = this.#context;
    const { learningRate, warmup } = this.#settings;
    const started = performance.now();
    const secondsSince = (): number => (performance.now() - started) / 1000;
    const index = this.#step;
    const batch = await loader.next(index);
    const waited = secondsSince();
    this.#skipped.report(batch.skipped, index);
    const lr = learningRateAt(index, learningRate, warmup, configuration.totalSteps);
    const result = await distiller.step(batch, index + 1, lr);
    this.#step++;
    const images = imagesPerStep(this.#settings);
    this.#report(distiller, result, { lr, images, waited, seconds: secondsSince() });
    await this.#showPatches(batch, result);
    loader.giveBack(index, batch);
  }

  #report(
    { lossScale: next }: Distiller,
    { loss, gradNorm, lossScale, skipped }: StepResult,
    timed: { lr: number; images: number; waited: number; seconds: number },
  ): void {
    const scaled = lossScale === null ? null : { lossScale, skippedSteps: next!.skippedSteps };
    this.#reports.report({ step: this.#step, loss, gradNorm, scaled, ...timed });
    if (!skipped) return;
    this.#context.log.info(
      `step ${this.#step} was skipped: its gradients overflowed half precision; the loss scale is ${next!.scale} now`,
    );
  }

  async #showPatches(batch: TrainingBatch, result: StepResult): Promise<void> {
    if (leads(this.#context.world)) await this.#preview.write(this.#step, batch, result);
  }

  async #compareWeights({ exchange, distiller }: Workshop): Promise<void> {
    if (!exchange) return;
    const { engine, plan } = this.#context;
    const weights = plan.trainable.map(name => distiller.studentParameters.get(name)!);
    await this.#share.compareWeights(engine, weights, this.#step);
  }

  async #stop({ weights }: Workshop): Promise<'stopped'> {
    await weights.save(this.#step);
    await weights.writeStudent(this.#step);
    this.#context.log.info(`stopped after step ${this.#step}; the same command resumes`);
    return 'stopped';
  }

  #isEpochEnd(): boolean {
    return this.#step % this.#context.configuration.stepsPerEpoch === 0;
  }

  async #recordFailure(error: unknown): Promise<void> {
    // The weights before a loss that is no number are there to look at, beside the earlier ones.
    if (error instanceof NonFiniteLossError && this.#step > 0)
      await this.#workshop?.weights.save(this.#step, { prune: false }).catch(() => undefined);
    this.#records.fail(this.#step, error);
  }
}
