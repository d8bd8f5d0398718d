import type { DeviceTensor } from '../engines/engine.ts';
import type { ProgramCache } from '../engines/programCache.ts';
import { add } from '../graph/operations/arithmetic.ts';
import { Value } from '../graph/value.ts';
import type { GradientReceiver } from './student.ts';

/** Adds up the gradients of several backward passes on the device, parameter by parameter. */
export class GradientSum {
  readonly #programs: ProgramCache;
  readonly #sums = new Map<string, DeviceTensor>();

  constructor(programs: ProgramCache) {
    this.#programs = programs;
  }

  /** Takes over the gradient. */
  readonly add: GradientReceiver = async (name, gradient) => {
    const sum = this.#sums.get(name);
    if (!sum) {
      this.#sums.set(name, gradient);
      return;
    }
    const { shape } = gradient;
    const program = await this.#programs.get(`add [${shape.join(', ')}]`, () => ({
      sum: add(Value.input('a', shape), Value.input('b', shape)),
    }));
    const results = await program.run({ a: sum, b: gradient });
    sum.dispose();
    gradient.dispose();
    this.#sums.set(name, results.sum!);
  };

  /** Adds the last gradient of a parameter and hands its sum over at once. */
  readonly addLast =
    (receive: GradientReceiver): GradientReceiver =>
    async (name, gradient) => {
      await this.add(name, gradient);
      const sum = this.#sums.get(name)!;
      this.#sums.delete(name);
      await receive(name, sum);
    };

  /** Hands each sum over, and forgets it. */
  async deliver(receive: GradientReceiver): Promise<void> {
    for (const [name, sum] of this.#sums) {
      this.#sums.delete(name);
      await receive(name, sum);
    }
  }

  dispose(): void {
    for (const sum of this.#sums.values()) sum.dispose();
    this.#sums.clear();
  }
}
