import { physicalCores } from '../engines/physicalCores.ts';
import { AheadLoader, workerProgram } from '../images/aheadLoader.ts';
import type { RunLog } from '../runs/runLog.ts';
import type { StopSwitch } from '../server.ts';
import type { ImageSource } from '../shards/imageSource.ts';
import type { WrittenImage } from './cocoWriter.ts';
import { nameOf, remainingPositions, walkPositions } from './imageWalk.ts';
import type { ProposalRequest, ProposedImage } from './proposeImage.ts';

/** Each takes some 80 MiB with photographs. */
const mostThreads = 16;
/** Images that are begun ahead of the one that is waited for, by thread: some take longer than others. */
const aheadByThread = 3;

export interface ProposalSettings {
  /** Most regions of an image. */
  count: number;
  /** Images that are looked at side by side; 0 takes one for each core, 16 at most. The regions do not depend on it. */
  threads: number;
}

/**
 * Proposes regions of image after image, in order, on threads of their own. Images that cannot be read are named and
 * left out.
 *
 * @param done Names of images that are left out as well: they are done already.
 * @throws StoppedError when it was asked to stop.
 */
export async function* proposals(
  source: ImageSource,
  { count, threads }: ProposalSettings,
  log: RunLog,
  stop: StopSwitch,
  done: ReadonlySet<string>,
): AsyncGenerator<WrittenImage> {
  const positions = remainingPositions(source, done);
  const workers = Math.min(
    threads === 0 ? Math.min(physicalCores(), mostThreads) : threads,
    positions.length,
  );
  const request: ProposalRequest = { images: { files: source.files, members: source.members }, count };
  const loader = new AheadLoader<number, ProposedImage>({
    program: workerProgram('proposalWorker', import.meta.url),
    settings: request,
    threads: workers,
    taskOf: item => positions[item]!,
    ahead: workers * aheadByThread,
    total: positions.length,
  });
  try {
    let item = 0;
    for (const position of walkPositions(positions, source, log, stop)) {
      const proposed = await loader.next(item++);
      if ('problem' in proposed) {
        log.warn(`left out ${proposed.problem}`);
        continue;
      }
      const { width, height, boxes } = proposed;
      const regions = boxes.map(box => ({ box, category: 1 }));
      yield { file: nameOf(source, position), width, height, regions };
    }
  } finally {
    await loader.dispose();
  }
}
