import type { ProposalBox } from '../distill/proposals.ts';
import { decodeImageBytes, readImageFile } from '../images/decode.ts';
import { ImageError } from '../images/imageError.ts';
import { readMember } from '../images/imageReader.ts';
import type { MemberPlace } from '../images/memberStore.ts';
import { proposeBoxes } from './proposeBoxes.ts';

/** An image for a thread that does not hold the list. */
export interface ImageTask {
  /** Its path, or what messages call a member of a shard. */
  file: string;
  /** Where its bytes lie in a shard; null for a plain file. */
  member: MemberPlace | null;
}

/** Regions of an image, or why it cannot be read. */
export type ProposedImage =
  | { width: number; height: number; boxes: readonly ProposalBox[] }
  | { problem: string };

/** Reads an image and proposes at most `count` regions of it. */
export async function proposeImage({ file, member }: ImageTask, count: number): Promise<ProposedImage> {
  try {
    const bytes = member ? await readMember(member, file) : await readImageFile(file);
    const image = await decodeImageBytes(file, bytes);
    return { width: image.width, height: image.height, boxes: proposeBoxes(image, count) };
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    return { problem: error.message };
  }
}
