import { meanOverHeads } from '../dense/attentionRollout.ts';
import { attentionMaps, tokenNorms } from '../dense/tokenMaps.ts';
import { cellsAlong } from '../models/architecture.ts';
import { checkFits, checkSize, checkTransformer, type FeatureMaps, type Subject } from './featureMaps.ts';
import { InspectError } from './inspectError.ts';
import { Latest } from './latest.ts';
import { forwardBytes } from './memoryPlan.ts';
import type { AttentionParams, AttentionResult, NormsParams, NormsResult, PatchGrid } from './protocol.ts';
import type { RequestContext } from './requestContext.ts';

/** Attention of the latest image, kept for the next query patch. */
interface KeptAttention {
  id: string;
  /** Mean over heads of each layer from the first to the one asked for, each [tokens, tokens]. */
  means: Float32Array[];
  /** [heads, tokens, tokens] of the layer asked for. */
  heads: Float32Array;
  valid: PatchGrid;
}

/** More than this is computed again for each query rather than kept. */
const keptAttentionBytes = 2 ** 30;

/** What tokens and attention of a tower show: norms, attention per head, rollout. */
export class TokenRequests {
  readonly #maps: FeatureMaps;
  readonly #norms = new Latest<NormsResult>(64);
  #attention: KeptAttention | null = null;

  constructor(maps: FeatureMaps) {
    this.#maps = maps;
  }

  /** `inspect/norms`. */
  async norms(params: NormsParams, context: RequestContext): Promise<NormsResult> {
    const { size, image: file } = params;
    const subject = await this.#subject(params, context);
    const { model, image, imageHash } = subject;
    const { architecture } = model.files;
    const { layers, width } = architecture;
    const layer = params.layer ?? layers;
    const key = JSON.stringify([model.hash, imageHash, size, layer]);
    const known = this.#norms.get(key);
    if (known) return known;
    checkFits(file, image, size);
    const side = cellsAlong(size, architecture);
    const result = await this.#maps.forward(model, size, layer + 1, context, async features => {
      const tokens = await features.tokens(image, size, layer);
      return {
        norms: tokenNorms(tokens, width),
        rows: side,
        columns: side,
        valid: features.validGrid(image, size),
      };
    });
    this.#norms.set(key, result);
    return result;
  }

  /** `inspect/attention`. */
  async attention(params: AttentionParams, context: RequestContext): Promise<AttentionResult> {
    const { size, layer, query } = params;
    const subject = await this.#subject(params, context);
    const { model, imageHash } = subject;
    const { architecture } = model.files;
    const { heads } = architecture;
    const side = cellsAlong(size, architecture);
    if (query !== null && query >= side * side)
      throw new InspectError('badRequest', `There are ${side * side} patches; there is no patch ${query}`);
    const key = this.#maps.keyOf('attention', [imageHash, model.hash, size, layer, query]);
    const cached = await this.#maps.cached(key);
    const grid = { heads, rows: side, columns: side };
    if (cached) {
      const { validRows, validColumns } = cached.numbers;
      return { file: cached.file, ...grid, valid: { rows: validRows!, columns: validColumns! } };
    }
    const weights = await this.#weights(subject, params, context);
    const maps = attentionMaps(weights.means, weights.heads, heads, query === null ? 0 : query + 1);
    context.check();
    context.progress('writing', 0.95);
    const numbers = { ...grid, validRows: weights.valid.rows, validColumns: weights.valid.columns };
    const { file } = await this.#maps.put(key, imageHash, maps, numbers);
    return { file, ...grid, valid: weights.valid };
  }

  /** The subject of a request for a layer that exists and a size that fits. */
  async #subject(
    params: Pick<AttentionParams, 'model' | 'image' | 'size'> & { layer: number | null },
    context: RequestContext,
  ): Promise<Subject> {
    const subject = await this.#maps.subject(params, context);
    checkTransformer(subject.model);
    checkSize(params.size, subject.model);
    checkFits(params.image, subject.image, params.size);
    const { layers } = subject.model.files.architecture;
    if (params.layer !== null && params.layer > layers)
      throw new InspectError('badRequest', `The model has layers 1 to ${layers}, not ${params.layer}`);
    return subject;
  }

  /** Attention of every layer up to the one asked for. */
  async #weights(
    { model, image, imageHash }: Subject,
    { size, layer }: AttentionParams,
    context: RequestContext,
  ): Promise<KeptAttention> {
    const id = JSON.stringify([model.hash, imageHash, size, layer]);
    if (this.#attention?.id === id) return this.#attention;
    this.#attention = null;
    const { architecture } = model.files;
    const { heads } = architecture;
    const bytesAt = (size: number): number =>
      4 * (cellsAlong(size, architecture) ** 2 + 1) ** 2 * (layer + 2 * heads);
    const needed = (size: number): number => forwardBytes(architecture, size) + bytesAt(size);
    // A block's tokens and its weights are two programs.
    const stages = 2 * layer;
    const kept = await this.#maps.forward(
      model,
      size,
      stages,
      context,
      async features => {
        const means: Float32Array[] = [];
        let weights: Float32Array = new Float32Array();
        await features.attentionByLayer(image, size, layer, ofLayer => {
          weights = ofLayer;
          means.push(meanOverHeads(weights, heads));
        });
        return { id, means, heads: weights, valid: features.validGrid(image, size) };
      },
      needed,
    );
    if (bytesAt(size) <= keptAttentionBytes) this.#attention = kept;
    return kept;
  }
}
