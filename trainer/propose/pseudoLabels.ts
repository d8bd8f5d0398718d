import type { ProposedRegion } from '../distill/proposals.ts';
import type { ClassEmbeddings } from '../text/classEmbeddings.ts';

/** A region and the class that its crop is most like. */
export interface PseudoLabel {
  region: ProposedRegion;
  /** Position among the classes. */
  class: number;
  /** Softmax over all classes at the model's temperature, 0 … 1. */
  probability: number;
}

/**
 * Names regions by the teacher's embeddings of their crops, as region–text training does without annotators (RegionCLIP;
 * figure 2a of the paper).
 *
 * @param crops [regions, D], unit norm.
 * @param temperature exp(logit_scale) of the model.
 */
export function pseudoLabels(
  regions: readonly ProposedRegion[],
  crops: Float32Array,
  { data, dimension, names }: ClassEmbeddings,
  temperature: number,
): PseudoLabel[] {
  return regions.map((region, index) => {
    const crop = crops.subarray(index * dimension, (index + 1) * dimension);
    const logits = names.map((_, position) => {
      let cosine = 0;
      for (let channel = 0; channel < dimension; channel++)
        cosine += crop[channel]! * data[position * dimension + channel]!;
      return temperature * cosine;
    });
    const highest = logits.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0);
    return { region, class: logits.indexOf(highest), probability: 1 / total };
  });
}
