import type { ModelSource, RunSteps } from './protocol/models.ts';

/**
 * What one column does while the run it looks at saves: at the newest checkpoint it goes on to the next one, at the
 * run's student it reads it again. A column that is still loading is left alone until it has something to show; else a
 * run that saves faster than maps are computed would keep it from ever showing one.
 */
export class RunFollowing {
  #atNewest = false;
  #outdated = false;

  /** The user chose another source. */
  reset(): void {
    this.#atNewest = false;
    this.#outdated = false;
  }

  /**
   * The source to load now; null to stay.
   *
   * @param before, now What was known of the runs, and what is; the same list twice asks what is still to be done.
   * @param busy The column is loading.
   */
  next(
    source: ModelSource | null,
    before: readonly RunSteps[],
    now: readonly RunSteps[],
    busy: boolean,
  ): ModelSource | null {
    if (source?.kind !== 'run') return null;
    const [old, latest] = [before, now].map(runs => runs.find(run => run.directory === source.directory));
    if (latest === undefined) return null;
    if (source.step === null) {
      if (old !== undefined && studentOf(old) !== studentOf(latest)) this.#outdated = true;
      if (!this.#outdated || busy) return null;
      this.#outdated = false;
      return source;
    }
    const newest = latest.steps.at(-1) ?? source.step;
    if (old?.steps.at(-1) === source.step) this.#atNewest = true;
    if (!this.#atNewest || busy || newest <= source.step) return null;
    return { ...source, step: newest };
  }
}

/** Tells one state of a run's student from another: until it is written, the latest checkpoint stands in for it. */
function studentOf({ hasStudent, studentTime, steps }: RunSteps): string {
  return hasStudent ? `file of ${studentTime ?? ''}` : `step ${steps.at(-1) ?? ''}`;
}
