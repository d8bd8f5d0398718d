import type { TfjsAttribute, TfjsEmitter, TfjsTensor } from '../../graph/tfjsEmitter.ts';
import type { NativeTensor, Tfjs } from './tfjs.ts';

type KernelInputs = Parameters<ReturnType<Tfjs['engine']>['runKernel']>[1];
type KernelAttributes = Parameters<ReturnType<Tfjs['engine']>['runKernel']>[2];

/** Runs kernels as lowerings ask for them. Scalars stay on the device until the engine goes: graphs use few, often. */
export class KernelEmitter implements TfjsEmitter {
  readonly #tf: Tfjs;
  readonly #scalars = new Map<string, NativeTensor>();

  constructor(tf: Tfjs) {
    this.#tf = tf;
  }

  kernel(
    name: string,
    inputs: Readonly<Record<string, TfjsTensor>> | readonly TfjsTensor[],
    attributes: Readonly<Record<string, TfjsAttribute>> = {},
  ): NativeTensor {
    // Kernels take named tensors, or a list in the place of names; their type knows the first alone.
    return this.#tf
      .engine()
      .runKernel<NativeTensor>(name, inputs as unknown as KernelInputs, attributes as KernelAttributes);
  }

  scalar(value: number): NativeTensor {
    // As text, −0 would pass for 0.
    const key = Object.is(value, -0) ? '-0' : String(value);
    const known = this.#scalars.get(key);
    if (known) return known;
    const scalar = this.#tf.keep(this.#tf.tensor(Float32Array.of(value), [], 'float32'));
    this.#scalars.set(key, scalar);
    return scalar;
  }

  filled(value: number, shape: readonly number[]): NativeTensor {
    return this.kernel('Fill', {}, { shape, value, dtype: 'float32' });
  }

  /** The same elements as a tensor of its own, which is disposed of by itself. */
  sameElements(x: TfjsTensor): NativeTensor {
    return this.kernel('Identity', { x });
  }

  /** Runs a lowering; of all that it makes its result alone stays. */
  scope(lowering: () => TfjsTensor): NativeTensor {
    return this.#tf.tidy(() => lowering() as NativeTensor);
  }

  dispose(): void {
    for (const scalar of this.#scalars.values()) scalar.dispose();
    this.#scalars.clear();
  }
}
