import { fitMaps, type PcaFit } from '../dense/pca.ts';
import { fittedComponents } from '../dense/pcaColours.ts';
import { base64 } from './base64.ts';
import type { FeatureMaps, HostMap } from './featureMaps.ts';
import { InspectError } from './inspectError.ts';
import { Latest } from './latest.ts';
import type { PcaParams, PcaResult } from './protocol.ts';
import type { RequestContext } from './requestContext.ts';

/** Principal components of cached maps. */
export class ComponentRequests {
  readonly #maps: FeatureMaps;
  /** By maps and count. */
  readonly #fits = new Latest<PcaFit>(16);

  constructor(maps: FeatureMaps) {
    this.#maps = maps;
  }

  /** `inspect/pca`: maps of one dimension in one basis. */
  async pca({ keys, highest }: PcaParams, context: RequestContext): Promise<PcaResult> {
    const started = performance.now();
    const { basis, coordinates } = await this.#fit(keys, highest, context);
    return {
      maps: keys.map((key, index) => ({ key, coordinates: base64(coordinates[index]!) })),
      explainedVariance: basis.explainedVariance,
      milliseconds: performance.now() - started,
    };
  }

  /** Up to eight components are fitted at once; each higher one is a fit of its own, as on the command line. */
  async #fit(keys: readonly string[], highest: number, context: RequestContext): Promise<PcaFit> {
    const memo = JSON.stringify([keys, Math.max(highest + 1, fittedComponents)]);
    const known = this.#fits.get(memo);
    if (known) return known;
    const maps: HostMap[] = [];
    for (const key of keys) maps.push(await this.#maps.read(key));
    checkComponents(maps, highest + 1);
    context.progress('computing', 0.1);
    await context.breathe();
    const fit = fitMaps(maps, highest);
    this.#fits.set(memo, fit);
    return fit;
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
