import { open } from 'node:fs/promises';
import path from 'node:path';
import type { SegmentationReport } from '../trainer/segment/protocol.ts';
import { type SegmentPictureQuery, segmentPictures } from '../webview/evaluation/protocol.ts';
import { isInside } from './candidates.ts';
import { RegionImageError } from './regionPictures.ts';

/** A segmentation in view. */
export interface ShownSegmentation {
  /** Absolute path of the report. */
  path: string;
  report: SegmentationReport;
}

/** Pictures are 640 pixels long at most. */
const maximumBytes = 8 * 2 ** 20;

/**
 * Reads one of the pictures that a report names. Reports come from anywhere: pictures must lie beside or below them, and
 * be JPEG files.
 *
 * @throws RegionImageError
 */
export async function readSegmentPicture(
  shown: ShownSegmentation | null,
  { overlay, picture }: SegmentPictureQuery,
): Promise<ArrayBuffer> {
  const known = segmentPictures.find(name => name === picture);
  const name = known ? shown?.report.overlays[overlay]?.[known] : null;
  if (!shown || !name) throw new RegionImageError('The report has no such picture.');
  const folder = path.dirname(shown.path);
  const file = path.resolve(folder, name);
  if (path.isAbsolute(name) || !isInside(file, folder) || !/\.jpe?g$/i.test(file))
    throw new RegionImageError(`“${name}” is no picture below ${folder}.`);
  const handle = await open(file, 'r').catch(() => {
    throw new RegionImageError(`${file} is not there.`);
  });
  try {
    const status = await handle.stat();
    if (!status.isFile() || status.size > maximumBytes)
      throw new RegionImageError(`${file} is no picture of a segmentation.`);
    const bytes = new Uint8Array(await handle.readFile());
    if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw new RegionImageError(`${file} is no JPEG file.`);
    return bytes.buffer;
  } finally {
    await handle.close();
  }
}
