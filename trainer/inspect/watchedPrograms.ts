import type { Feeds, Program } from '../engines/engine.ts';
import { ProgramCache } from '../engines/programCache.ts';
import type { Outputs } from '../graph/split.ts';

/** Told before each stage of a tower runs; what it throws ends the run. */
export interface StageWatch {
  beforeStage: (() => Promise<void>) | null;
}

/** A program cache whose programs ask a watch before they run: so that a forward pass stops between its blocks. */
export class WatchedPrograms extends ProgramCache {
  readonly #watch: StageWatch;

  constructor(engine: ConstructorParameters<typeof ProgramCache>[0], watch: StageWatch) {
    super(engine);
    this.#watch = watch;
  }

  override async get(key: string, build: () => Outputs): Promise<Program> {
    const program = await super.get(key, build);
    return {
      inputs: program.inputs,
      outputs: program.outputs,
      run: async (feeds: Feeds) => {
        await this.#watch.beforeStage?.();
        return program.run(feeds);
      },
      dispose: () => program.dispose(),
    };
  }
}
