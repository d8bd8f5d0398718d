import type { SegmentationMessage } from '../webview/evaluation/protocol.ts';
import { fileSignature } from './fileSignature.ts';
import { reportProblem } from './reportProblem.ts';
import { readSegmentationReport } from './segmentationReport.ts';
import type { ShownSegmentation } from './segmentPictures.ts';

/** Follows the report of a segmentation: reads it where it changed, and says so. */
export class SegmentationFollower {
  readonly #post: (message: SegmentationMessage) => void;
  #signature = '';
  #message: SegmentationMessage = { kind: 'segmentation', path: null, report: null, problem: null };

  constructor(post: (message: SegmentationMessage) => void) {
    this.#post = post;
  }

  /** What is in view; null where there is nothing. */
  get shown(): ShownSegmentation | null {
    const { path, report } = this.#message;
    return path === null || report === null ? null : { path, report };
  }

  /** @param again Say it even where nothing changed. */
  async look(file: string | null, again: boolean): Promise<void> {
    const signature = file === null ? '' : await fileSignature(file);
    if (signature !== this.#signature) {
      this.#signature = signature;
      this.#message = await read(file);
    } else if (!again) return;
    this.#post(this.#message);
  }
}

async function read(path: string | null): Promise<SegmentationMessage> {
  const kind = 'segmentation';
  if (path === null) return { kind, path, report: null, problem: null };
  try {
    return { kind, path, report: await readSegmentationReport(path), problem: null };
  } catch (error) {
    return { kind, path, report: null, problem: reportProblem(error, path) };
  }
}
