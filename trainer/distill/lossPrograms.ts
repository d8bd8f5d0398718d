import { type DeviceTensor, type Engine, type Feeds, readFloats, takeScalar } from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import { gradientName, splitForBackward, upstreamName } from '../graph/split.ts';
import type { Value } from '../graph/value.ts';

/** A loss over what the student makes of some images, ready to run. */
export interface Loss {
  /** Key of its programs: sizes and kind. */
  key: string;
  /** Input of the graph that is the student's output; all others are fed by `feeds`. */
  studentInput: string;
  /** Where regions are compared, `cosines` [batch, maxBoxes] is the agreement of each. */
  graph: () => { loss: Value; cosines?: Value };
  /** Whoever asked for the loss disposes of them. */
  feeds: Readonly<Record<string, DeviceTensor>>;
}

export interface LossValue {
  loss: number;
  /** [batch · maxBoxes]; empty where no regions are compared. */
  cosines: Float32Array;
}

/** Runs losses and their gradients; programs are compiled once for each size. */
export class LossPrograms {
  readonly #engine: Engine;
  readonly #programs: ProgramCache;

  constructor(engine: Engine, programs: ProgramCache) {
    this.#engine = engine;
    this.#programs = programs;
  }

  /** @param student What the student made of the images. */
  async evaluate(loss: Loss, student: DeviceTensor): Promise<LossValue> {
    const program = await this.#programs.get(`loss ${loss.key}`, () => ({ ...loss.graph() }));
    const results = await program.run(feedsOf(loss, student));
    const value = await takeScalar(this.#engine, results.loss!);
    if (!results.cosines) return { loss: value, cosines: new Float32Array(0) };
    const cosines = await readFloats(this.#engine, results.cosines);
    results.cosines.dispose();
    return { loss: value, cosines };
  }

  /**
   * The gradient with respect to what the student made, of its shape.
   *
   * @param scale Factor of the loss.
   */
  async gradient(loss: Loss, student: DeviceTensor, scale: number): Promise<DeviceTensor> {
    const { key, studentInput, graph } = loss;
    const program = await this.#programs.get(
      `loss gradient ${key}`,
      () => splitForBackward({ loss: graph().loss }, [studentInput], 'recompute').backward,
    );
    const upstream = this.#engine.upload([], Float32Array.of(scale));
    const results = await program.run({ ...feedsOf(loss, student), [upstreamName('loss')]: upstream });
    upstream.dispose();
    return results[gradientName(studentInput)]!;
  }
}

const feedsOf = ({ feeds, studentInput }: Loss, student: DeviceTensor): Feeds => ({
  ...feeds,
  [studentInput]: student,
});
