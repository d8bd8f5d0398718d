import { pcaOfMaps } from '../dense/pca.ts';
import type { FeatureMaps, HostMap } from './featureMaps.ts';
import { InspectError } from './inspectError.ts';
import { Latest } from './latest.ts';
import type { PcaParams, PcaResult } from './protocol.ts';
import type { RequestContext } from './requestContext.ts';

/** Principal components of cached maps. */
export class ComponentRequests {
  readonly #maps: FeatureMaps;
  readonly #results = new Latest<Omit<PcaResult, 'milliseconds'>>(16);

  constructor(maps: FeatureMaps) {
    this.#maps = maps;
  }

  /** `inspect/pca`: maps of one dimension in one basis. */
  async pca({ keys, components }: PcaParams, context: RequestContext): Promise<PcaResult> {
    const started = performance.now();
    const memo = JSON.stringify([keys, components]);
    const known = this.#results.get(memo);
    if (known) return { ...known, milliseconds: performance.now() - started };
    const maps: HostMap[] = [];
    for (const key of keys) maps.push(await this.#maps.read(key));
    checkComponents(maps, Math.max(...components) + 1);
    context.progress('computing', 0.1);
    await context.breathe();
    const { basis, colours } = pcaOfMaps(maps, components);
    const result = {
      maps: keys.map((key, index) => ({ key, rgb: Buffer.from(colours[index]!).toString('base64') })),
      explainedVariance: basis.explainedVariance,
    };
    this.#results.set(memo, result);
    return { ...result, milliseconds: performance.now() - started };
  }
}

function checkComponents(maps: readonly HostMap[], count: number): void {
  const { dimension } = maps[0]!;
  const other = maps.find(map => map.dimension !== dimension);
  if (other) {
    const message = `Features of ${dimension} and of ${other.dimension} channels have no common components. Compare models of the same embedding`;
    throw new InspectError('badRequest', message);
  }
  const cells = maps.reduce((sum, { valid }) => sum + valid.rows * valid.columns, 0);
  const most = Math.min(dimension, cells - 1);
  if (count > most)
    throw new InspectError(
      'badRequest',
      `${cells} patches of ${dimension} channels have ${most} components, not ${count}`,
    );
}
