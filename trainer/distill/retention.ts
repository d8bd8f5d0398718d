import type { DeviceTensor, Engine } from '../engines/engine.ts';
import { l2Normalise } from '../graph/functions.ts';
import { add, multiply, negate } from '../graph/operations/arithmetic.ts';
import { sum, total } from '../graph/operations/reduction.ts';
import { Value } from '../graph/value.ts';
import type { Loss } from './lossPrograms.ts';

/**
 * Retention of whole images, not part of the paper: the authors suggest in public to keep the student's class token
 * near the teacher's where zero-shot classification of whole images must not suffer. Both embed the whole image in the
 * teacher's geometry;
 *
 *     L = λ · (1 − mean over images of cos(s, t))
 *
 * Inputs of the graph: `student` and `teacher` [images, D], and `weights` [images], each λ / number of images of the
 * step. Output: `loss`, a scalar.
 */
export function retentionLoss(images: number, embeddingDimension: number): Value {
  const student = Value.input('student', [images, embeddingDimension]);
  const teacher = Value.input('teacher', [images, embeddingDimension]);
  const weights = Value.input('weights', [images, 1]);
  const cosines = sum(multiply(l2Normalise(student), l2Normalise(teacher)), [-1]);
  return total(multiply(weights, add(Value.constant(1), negate(cosines))));
}

/** What the student's embeddings of some whole images are kept near to. */
export interface RetentionTarget {
  images: number;
  /** The teacher's embeddings of them, [images, D]. */
  teacher: DeviceTensor;
  /** λ / number of images of the step. */
  weight: number;
}

/** The loss ready to run; takes over the teacher's embeddings. */
export function retentionOf(engine: Engine, { images, teacher, weight }: RetentionTarget): Loss {
  const weights = engine.upload([images, 1], new Float32Array(images).fill(weight));
  return {
    key: `retention ${images}`,
    studentInput: 'student',
    graph: () => ({ loss: retentionLoss(images, teacher.shape[1]!) }),
    feeds: { teacher, weights },
  };
}
