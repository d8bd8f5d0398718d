/** For each pixel along one axis of a picture the two cells of a feature map around its centre and the share of the second. */
export interface AxisSamples {
  /** The cell a pixel lies in. */
  nearest: Int32Array;
  first: Int32Array;
  second: Int32Array;
  share: Float32Array;
}

/**
 * The image's content covers `fitted` pixels of the student image from the top or left edge on; a pixel of the
 * picture is found there by its centre. The rest of the square is padding and is cut off.
 */
export function axisSamples(pixels: number, fitted: number, patchSize: number, cells: number): AxisSamples {
  const samples = {
    nearest: new Int32Array(pixels),
    first: new Int32Array(pixels),
    second: new Int32Array(pixels),
    share: new Float32Array(pixels),
  };
  for (let pixel = 0; pixel < pixels; pixel++) {
    const position = ((pixel + 0.5) * fitted) / pixels / patchSize;
    samples.nearest[pixel] = Math.min(Math.floor(position), cells - 1);
    // Values sit at the cells' centres; beyond the outermost centres they stay constant.
    const fromCentre = Math.min(Math.max(position - 0.5, 0), cells - 1);
    const first = Math.floor(fromCentre);
    samples.first[pixel] = first;
    samples.second[pixel] = Math.min(first + 1, cells - 1);
    samples.share[pixel] = fromCentre - first;
  }
  return samples;
}
