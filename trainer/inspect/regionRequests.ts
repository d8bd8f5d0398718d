import { type CocoSegmentation, decodeMask, type Mask } from '../dense/cocoMask.ts';
import { dotOfRows } from '../dense/dotProducts.ts';
import { poolBoxes } from '../dense/imageFeatures.ts';
import { poolMasksInto } from '../dense/maskPooling.ts';
import { fractionsToPixels, gridCells } from '../distill/gridPatches.ts';
import { cropImage, degenerateCropReason, fitLongestSide, teacherImage } from '../images/geometry.ts';
import { hasMaskAttention } from '../models/maskAttention.ts';
import { base64 } from './base64.ts';
import { checkFits, checkSize, type FeatureMaps, type Subject } from './featureMaps.ts';
import { InspectError } from './inspectError.ts';
import { Latest } from './latest.ts';
import type { ResolvedModel } from './modelReference.ts';
import type {
  CropParams,
  CropResult,
  InspectBox,
  PatchesParams,
  PatchesResult,
  RegionsParams,
  RegionsResult,
} from './protocol.ts';
import type { RequestContext } from './requestContext.ts';

/** Crops in one forward pass of the teacher. */
const cropsAtOnce = 8;
const keptEmbeddings = 8_192;

/** Compares the dense features of regions with the teacher's embeddings of the same crops. */
export class RegionRequests {
  readonly #maps: FeatureMaps;
  readonly #embeddings = new Latest<Float32Array>(keptEmbeddings);

  constructor(maps: FeatureMaps) {
    this.#maps = maps;
  }

  /** `inspect/patches`: the cells of a grid, as the training draws them. */
  async patches(params: PatchesParams, context: RequestContext): Promise<PatchesResult> {
    const subject = await this.#maps.subject(params, context);
    const { width, height } = subject.image;
    const boxes = boxesOf(fractionsToPixels(gridCells(params), width, height));
    const { dense, crops, dimension } = await this.#compare({ ...params, boxes }, subject, context);
    const cosines = boxes.map((_, box) =>
      dotOfRows(dense, box * dimension, crops, box * dimension, dimension),
    );
    return { boxes, cosines, mean: mean(cosines) };
  }

  /** `inspect/regions`: how well each region finds its own crop among the crops of all. */
  async regions(params: RegionsParams, context: RequestContext): Promise<RegionsResult> {
    const { boxes } = params;
    const subject = await this.#maps.subject(params, context);
    const { dense, crops, dimension } = await this.#compare(params, subject, context);
    const cosine = (region: number, crop: number): number =>
      dotOfRows(dense, region * dimension, crops, crop * dimension, dimension);
    const cosines = boxes.map((_, box) => cosine(box, box));
    const ranks = boxes.map((_, region) => {
      const better = boxes.filter((_, crop) => crop !== region && cosine(region, crop) > cosines[region]!);
      return better.length + 1;
    });
    return {
      ...{ cosines, ranks, top1: mean(ranks.map(rank => (rank === 1 ? 1 : 0))) },
      ...{ dimension, dense: base64(dense), crops: base64(crops) },
    };
  }

  /** `inspect/crop`: what the teacher sees of a box. */
  async crop(params: CropParams, context: RequestContext): Promise<CropResult> {
    const { model, image } = await this.#maps.subject(params, context);
    const side = model.files.architecture.imageSize;
    checkBoxes([params.box], side);
    const rgb = teacherImage(cropImage(image, params.box), side);
    return { side, rgb: base64(rgb) };
  }

  /** Features of boxes and embeddings of their crops, both [n, dimension] of unit norm. */
  async #compare(
    params: RegionsParams,
    subject: Subject,
    context: RequestContext,
  ): Promise<{ dense: Float32Array; crops: Float32Array; dimension: number }> {
    const { model, image, imageHash } = subject;
    const { boxes } = params;
    const teacher = await this.#teacherOf(params, model);
    checkBoxes(boxes, teacher.files.architecture.imageSize);
    const dimension = teacher.files.architecture.embeddingDimension;
    const own = model.files.architecture.embeddingDimension;
    if (own !== dimension) {
      const message = `The teacher's embeddings have ${dimension} channels and the model's features ${own}. Choose the teacher that the model comes from`;
      throw new InspectError('badRequest', message);
    }
    return {
      dense: await this.#regionFeatures(params, subject, context.part(0, 0.3)),
      crops: await this.#cropEmbeddings(teacher, { image, imageHash }, boxes, context.part(0.3, 1)),
      dimension,
    };
  }

  /** By mask attention, or pooled from the dense map of another read-out; [n, dimension] of unit norm. */
  async #regionFeatures(
    { boxes, masks, readOut = 'value', layer = null, ...params }: RegionsParams,
    { model, image }: Subject,
    context: RequestContext,
  ): Promise<Float32Array> {
    const { size } = params;
    if (readOut === 'maskAttention') {
      checkMaskAttention(model, layer);
      if (masks?.some(mask => mask !== null))
        throw new InspectError('badRequest', 'Mask attention takes boxes here. Leave the masks out');
      checkSize(size, model);
      checkFits(params.image, image, size);
      return this.#maps.forward(model, size, model.files.architecture.layers + 3, context, features =>
        features.maskAttention(image, size, boxes),
      );
    }
    const { key } = await this.#maps.features({ ...params, readOut, layer }, context);
    const map = await this.#maps.read(key);
    const dense = { features: map.features, side: map.rows };
    const pooled = poolBoxes(dense, image, size, boxes);
    if (masks) {
      const { scale } = fitLongestSide(image.width, image.height, size);
      poolMasksInto(pooled, dense, (scale * map.rows) / size, decodedMasks(masks, image));
    }
    return pooled;
  }

  async #teacherOf(params: RegionsParams, model: ResolvedModel): Promise<ResolvedModel> {
    const reference = params.teacher ?? model.source;
    return reference ? this.#maps.resolve(reference) : model;
  }

  async #cropEmbeddings(
    teacher: ResolvedModel,
    { image, imageHash }: Pick<Subject, 'image' | 'imageHash'>,
    boxes: readonly InspectBox[],
    context: RequestContext,
  ): Promise<Float32Array> {
    const { embeddingDimension: dimension, imageSize, layers } = teacher.files.architecture;
    const keys = boxes.map(box => JSON.stringify([teacher.hash, imageHash, box]));
    const result = new Float32Array(boxes.length * dimension);
    const missing: number[] = [];
    keys.forEach((key, index) => {
      const known = this.#embeddings.get(key);
      if (known) result.set(known, index * dimension);
      else missing.push(index);
    });
    if (missing.length === 0) return result;
    const stages = (layers + 2) * Math.ceil(missing.length / cropsAtOnce);
    await this.#maps.forward(teacher, imageSize, stages, context, async features => {
      for (let start = 0; start < missing.length; start += cropsAtOnce) {
        const indices = missing.slice(start, start + cropsAtOnce);
        const embeddings = await features.crops(
          image,
          indices.map(index => boxes[index]!),
        );
        indices.forEach((index, place) => {
          const embedding = embeddings.slice(place * dimension, (place + 1) * dimension);
          this.#embeddings.set(keys[index]!, embedding);
          result.set(embedding, index * dimension);
        });
      }
    });
    return result;
  }
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const boxesOf = (pixels: Float32Array): InspectBox[] =>
  Array.from({ length: pixels.length / 4 }, (_, box) => {
    const [x0, y0, x1, y1] = pixels.subarray(box * 4, box * 4 + 4);
    return [x0!, y0!, x1!, y1!];
  });

/** One mask at a time: those of many regions at once could fill the memory. */
function* decodedMasks(
  masks: readonly (CocoSegmentation | null)[],
  { width, height }: { width: number; height: number },
): Generator<Mask | null> {
  for (const [index, mask] of masks.entries())
    try {
      yield mask && decodeMask(mask, width, height);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new InspectError('badRequest', `Region ${index + 1}: ${reason}`);
    }
}

/** Throws InspectError when the model has no mask attention, or none at a layer. */
function checkMaskAttention({ files }: ResolvedModel, layer: number | null): void {
  if (!hasMaskAttention(files.architecture)) {
    const message = 'The model has no mask attention: it is defined for CLIP ViTs. Choose another read-out';
    throw new InspectError('readOutUnsupported', message);
  }
  if (layer !== null && layer !== files.architecture.layers)
    throw new InspectError(
      'readOutUnsupported',
      'Mask attention goes through all layers. Choose the last one',
    );
}

function checkBoxes(boxes: readonly InspectBox[], imageSize: number): void {
  boxes.forEach((box, index) => {
    const reason = degenerateCropReason(box, imageSize);
    if (reason !== null)
      throw new InspectError('badRequest', `Region ${index + 1} cannot be cut out: ${reason}`);
  });
}
