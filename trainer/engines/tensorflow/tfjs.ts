import type * as core from '@tensorflow/tfjs-core';

/**
 * What the engine needs of TensorFlow.js: of `@tensorflow/tfjs-core` with any backend, or of `@tensorflow/tfjs-node`. Only
 * types are imported; whoever makes the engine brings the library.
 */
export type Tfjs = Pick<typeof core, 'engine' | 'keep' | 'memory' | 'tensor' | 'tidy'>;

export type NativeTensor = core.Tensor;
