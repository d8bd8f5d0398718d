import type { Distiller } from '../distill/distiller.ts';
import { leads } from '../distributed/world.ts';
import type { EvaluationRecord } from '../protocol.ts';
import type { RunRecords } from '../runs/runRecords.ts';
import type { ClassEmbeddings } from '../text/classEmbeddings.ts';
import { evaluateHeldOut, heldOutCosine } from './heldOut.ts';
import { patchSettingsOf } from './patchSettings.ts';
import { formatDuration } from './progress.ts';
import { evaluateEpoch } from './regionEvaluation.ts';
import type { SkippedImages } from './skippedImages.ts';
import type { TrainingContext } from './trainingContext.ts';
import type { WeightFiles } from './weightFiles.ts';

const namesRegions = (record: EvaluationRecord): boolean =>
  Object.keys(record.eval).some(name => name.startsWith('rois.'));

/**
 * What a run measures before training and after each epoch, on the rank that leads: the agreement of student and teacher on
 * held-out images, and how regions are named with words.
 */
export class EpochEvaluations {
  readonly #context: TrainingContext;
  readonly #distiller: Distiller;
  readonly #weights: WeightFiles;
  readonly #records: RunRecords;
  readonly #skipped: SkippedImages;
  #words: ClassEmbeddings | null = null;
  #cutShort = false;

  constructor(
    context: TrainingContext,
    distiller: Distiller,
    weights: WeightFiles,
    records: RunRecords,
    skipped: SkippedImages,
  ) {
    this.#context = context;
    this.#distiller = distiller;
    this.#weights = weights;
    this.#records = records;
    this.#skipped = skipped;
  }

  /** A stop cut the latest evaluation short: it is to be done when the run goes on. */
  get cutShort(): boolean {
    return this.#cutShort;
  }

  /** @param past What was recorded before; what was measured at this step already is not measured again. */
  async evaluate(step: number, past: readonly EvaluationRecord[] = []): Promise<void> {
    if (!leads(this.#context.world)) return;
    const here = past.filter(record => record.eval.step === step);
    if (!here.some(record => heldOutCosine in record.eval)) await this.#compareHeldOut(step);
    if (!here.some(namesRegions) && !this.#cutShort) await this.#nameRegions(step);
  }

  /** Regions named with words, on the blend; before training on the model as it came. */
  async #nameRegions(step: number): Promise<void> {
    const { engine, plan, files, stopRequested, log } = this.#context;
    if (!plan.evaluation) return;
    const epoch = this.#epochOf(step);
    if (epoch > 0) await this.#weights.writeStudent(step);
    this.#words ??= await plan.evaluation.words.load(engine);
    const place = { files, source: plan.model, epoch, step };
    const report = await evaluateEpoch(engine, plan.evaluation, this.#words, place, {
      stopped: stopRequested,
      progress: (done, total, secondsLeft) =>
        log.progress(`naming regions: image ${done}/${total}  ${formatDuration(secondsLeft)} left`),
    });
    this.#cutShort = report === null;
    if (!report) return;
    const known = Object.entries(report.numbers).filter(([, number]) => number !== null);
    this.#record(step, Object.fromEntries(known) as Record<string, number>);
    const { regions, images } = report.counts;
    log.info(`epoch ${epoch}: ${regions} regions of ${images} images named`);
  }

  async #compareHeldOut(step: number): Promise<void> {
    const { engine, plan, configuration, stopRequested, log } = this.#context;
    const { settings } = configuration;
    const images = plan.heldOut.files.length;
    if (images === 0) return;
    log.progress(`comparing student and teacher on ${images} held-out images`);
    const patches = patchSettingsOf(plan, settings, plan.heldOut, plan.heldOutRegions);
    const result = await evaluateHeldOut(
      engine,
      this.#distiller,
      plan.model.weightsFile,
      patches,
      settings.blend,
      stopRequested,
    );
    this.#cutShort = result === null;
    if (!result) return;
    this.#skipped.report(result.skipped, step);
    const { cosine, patches: count } = result;
    if (count === 0) return;
    this.#record(step, { [heldOutCosine]: cosine });
    log.info(
      `epoch ${this.#epochOf(step)}: mean student/teacher cosine ${cosine.toFixed(4)} on ${count} held-out patches`,
    );
  }

  #record(step: number, numbers: Readonly<Record<string, number>>): void {
    this.#records.write({ eval: { epoch: this.#epochOf(step), step, time: Date.now(), ...numbers } });
  }

  #epochOf(step: number): number {
    return step / this.#context.configuration.stepsPerEpoch;
  }
}
