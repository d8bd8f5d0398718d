import { keptRegions } from '../distill/embeddingStore.ts';
import type { MemoryUse, SizeOption } from '../distill/memoryPlan.ts';
import { fitPasses, type PassSizes } from '../distill/tensorLimit.ts';
import { mebibytes } from '../engines/largestTensor.ts';
import { type Shape, sizeOf } from '../graph/shape.ts';
import { requireTransformer, type VisionArchitecture } from '../models/architecture.ts';
import type { TrainingSettings } from '../protocol.ts';
import { scalesOf } from './settings.ts';

/** What the memory of a step is shared out by. */
export interface MemoryRequest {
  settings: Pick<
    TrainingSettings,
    | 'size'
    | 'multiscale'
    | 'maxBoxes'
    | 'batch'
    | 'precision'
    | 'retention'
    | 'memoryBudgetGib'
    | 'teacherCacheMib'
  >;
  architecture: VisionArchitecture;
  /** The image tower's tensors by checkpoint name, and the names of those that train. */
  parameters: ReadonlyMap<string, { shape: Shape }>;
  trainable: readonly string[];
  /** Images of a step that this process takes. */
  ownImages: number;
  /** Regions of the images that are trained on; 0 for a grid. */
  regions: number;
  /** Gradients are added up with those of other ranks. */
  exchanged: boolean;
  /** Most bytes of a tensor that the engine allows; Infinity where memory alone bounds them. */
  largestTensor: number;
  /** What the engine said when it was told to expect steps. */
  memoryShared: boolean;
}

export interface StepMemory {
  /** Regions whose embeddings by the teacher are kept: the first ones. */
  keptRegions: number;
  /** What goes through the towers together: all of a batch, unless the engine bounds its tensors. */
  passes: PassSizes;
  /** Bytes for everything. */
  budget: number;
  /** What takes them. */
  use: MemoryUse;
  /** What was bounded, for the log. */
  remarks: readonly string[];
}

/**
 * Shares out the memory of a run before anything is compiled.
 *
 * @throws EngineError when the engine cannot hold the tensors of one image, or of one crop.
 */
export function planStepMemory(request: MemoryRequest): StepMemory {
  const { settings, parameters, trainable, ownImages, regions, exchanged, memoryShared } = request;
  const { maxBoxes, precision, retention, memoryBudgetGib, teacherCacheMib } = settings;
  const architecture = requireTransformer(request.architecture, 'training');
  const { embeddingDimension, imageSize: cropSize } = architecture;
  const kept = keptRegions(regions, embeddingDimension, teacherCacheMib);
  const passes = fitted(request);
  const several = ownImages > passes.imagesPerPass || retention > 0;
  return {
    keptRegions: kept,
    passes,
    budget: memoryBudgetGib * 2 ** 30,
    use: {
      architecture,
      parameters: counted(parameters, trainable),
      ...{ ...largestSize(settings), cropSize, maxBoxes },
      images: Math.min(passes.imagesPerPass, ownImages),
      gradientsWait: several || exchanged || precision === 'fp16',
      embeddingBytes: kept * embeddingDimension * Float32Array.BYTES_PER_ELEMENT,
      memoryShared,
    },
    remarks: [...passRemarks(request, passes), ...cacheRemarks(request, kept)],
  };
}

/** Side of the largest student image, and the setting that it comes from. */
function largestSize(settings: MemoryRequest['settings']): { size: number; sizeOption: SizeOption } {
  const { size } = settings;
  const largest = Math.max(size, ...(scalesOf(settings) ?? []));
  return { size: largest, sizeOption: largest > size ? '--multiscale' : '--size' };
}

const wholeBatch = ({ batch, maxBoxes }: MemoryRequest['settings']): PassSizes => ({
  imagesPerPass: batch,
  cropsAtOnce: batch * maxBoxes,
});

function fitted({ settings, architecture, trainable, largestTensor }: MemoryRequest): PassSizes {
  if (largestTensor === Number.POSITIVE_INFINITY) return wholeBatch(settings);
  const { batch: images, maxBoxes, precision } = settings;
  const sizes = { ...largestSize(settings), cropSize: architecture.imageSize, images, maxBoxes };
  return fitPasses({ architecture, trainable: new Set(trainable), precision, ...sizes }, largestTensor);
}

function passRemarks({ settings, largestTensor }: MemoryRequest, passes: PassSizes): string[] {
  const { imagesPerPass, cropsAtOnce } = passes;
  const all = wholeBatch(settings);
  if (imagesPerPass === all.imagesPerPass && cropsAtOnce === all.cropsAtOnce) return [];
  return [
    `the graphics card allows tensors of ${mebibytes(largestTensor)}: ${imagesPerPass} of ${settings.batch} images at a time go through the student, ` +
      `${cropsAtOnce} crops through the teacher`,
  ];
}

const cacheRemarks = ({ settings, regions }: MemoryRequest, kept: number): string[] =>
  settings.teacherCacheMib > 0 && regions > 0
    ? [`the teacher's embeddings of ${kept} of ${regions} regions are kept`]
    : [];

function counted(
  parameters: MemoryRequest['parameters'],
  trainable: readonly string[],
): MemoryUse['parameters'] {
  const count = (tensors: Iterable<{ shape: Shape }>): number =>
    [...tensors].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return {
    total: count(parameters.values()),
    trainable: count(trainable.map(name => parameters.get(name)!)),
  };
}
