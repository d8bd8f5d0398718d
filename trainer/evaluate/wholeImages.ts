/** Whole images as the tower embeds them, and the worker's side of preparing them. */
import { decodeImage } from '../images/decode.ts';
import { teacherImage, unfittableReason } from '../images/geometry.ts';
import { ImageError } from '../images/imageError.ts';
import { type ImageNormalisation, normaliseInto } from '../images/normalise.ts';

export interface WholeImageSettings {
  /** Side of the letterboxed image in pixels. */
  imageSize: number;
  normalisation: ImageNormalisation;
  /** Leave out images that cannot be used instead of failing. */
  skipBroken: boolean;
}

/**
 * [3, imageSize, imageSize], normalised; null when the image cannot be used and the settings leave such out.
 *
 * @throws ImageError
 */
export async function prepareWholeImage(
  file: string,
  { imageSize, normalisation, skipBroken }: WholeImageSettings,
): Promise<Float32Array | null> {
  try {
    const image = await decodeImage(file);
    const reason = unfittableReason(image.width, image.height, imageSize);
    if (reason !== null) throw new ImageError(file, reason);
    const pixels = new Float32Array(3 * imageSize * imageSize);
    normaliseInto(teacherImage(image, imageSize), normalisation, pixels, 0);
    return pixels;
  } catch (error) {
    if (skipBroken && error instanceof ImageError) return null;
    throw error;
  }
}
