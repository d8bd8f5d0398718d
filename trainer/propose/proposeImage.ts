import type { ProposalBox } from '../distill/proposals.ts';
import { decodeImageBytes } from '../images/decode.ts';
import { ImageError } from '../images/imageError.ts';
import { type ImageList, readImage } from '../images/imageReader.ts';
import { proposeBoxes } from './proposeBoxes.ts';

/** What stays the same from image to image; a thread is given it once. */
export interface ProposalRequest {
  images: ImageList;
  /** Most regions of an image. */
  count: number;
}

/** Regions of an image, or why it cannot be read. */
export type ProposedImage =
  | { width: number; height: number; boxes: readonly ProposalBox[] }
  | { problem: string };

/** Reads the image at a position of the list and proposes regions of it. */
export async function proposeImage(
  { images, count }: ProposalRequest,
  position: number,
): Promise<ProposedImage> {
  try {
    const image = await decodeImageBytes(images.files[position]!, await readImage(images, position));
    return { width: image.width, height: image.height, boxes: proposeBoxes(image, count) };
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    return { problem: error.message };
  }
}
