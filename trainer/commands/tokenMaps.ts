import { meanOverHeads } from '../dense/attentionRollout.ts';
import type { ColourMapName } from '../dense/colourMaps.ts';
import type { MapSize } from '../dense/featureMap.ts';
import { valueRange } from '../dense/similarity.ts';
import { attentionMaps, meanOfMaps, onImage, tokenNorms } from '../dense/tokenMaps.ts';
import { describeArchitecture } from '../models/architecture.ts';
import { SettingError } from '../training/settings.ts';
import { type ImageSubject, withImage } from './imageSubject.ts';
import { wholeNumber } from './optionValues.ts';
import { placeMap, writeCellTable, writeOverlay } from './overlayImage.ts';
import {
  colourMapOption,
  coloursHelp,
  type OverlayOptions,
  overlayHelp,
  overlayUsage,
  readOverlayOptions,
} from './overlayOptions.ts';

const normsHelp = `usage: clipself norms ${overlayUsage} [--colours viridis]

Draws the norm of every token, before it is normalised and projected, over the image; the lowest takes the first colour.

${coloursHelp}
${overlayHelp}`;

const attentionHelp = `usage: clipself attention ${overlayUsage} [--patch N] [--head rollout] [--colours viridis]

Draws what the class token attends to over the image, from zero to the highest weight.

  --patch N     what this patch attends to instead, by its row-major index from 0
  --head H      rollout up to the layer, mean of its heads, or the number of one head from 0
${coloursHelp}
${overlayHelp}`;

/** `clipself norms`. */
export async function normsCommand(args: string[]): Promise<void> {
  const read = readOverlayOptions('norms', { colours: { type: 'string' } }, args);
  if (!read) {
    console.log(normsHelp);
    return;
  }
  const colourMap = colourMapOption(read.own);
  await withImage(read.options, async subject => {
    const { tower, image, size } = subject;
    const { layers, width } = transformerOf(subject);
    const tokens = await tower.features.tokens(image, size, read.options.layer ?? layers);
    const map = mapSize(subject);
    const values = onImage(tokenNorms(tokens, width), map);
    const { low, high } = valueRange(values);
    const range = { low, high: Math.max(high, low + 1e-6) };
    await writeMap(subject, map, { values, ...range, colourMap }, 'norm', read.options);
  });
}

/** `clipself attention`. */
export async function attentionCommand(args: string[]): Promise<void> {
  const own = { patch: { type: 'string' }, head: { type: 'string' }, colours: { type: 'string' } } as const;
  const read = readOverlayOptions('attention', own, args);
  if (!read) {
    console.log(attentionHelp);
    return;
  }
  const colourMap = colourMapOption(read.own);
  await withImage(read.options, async subject => {
    const { heads } = transformerOf(subject);
    const map = mapSize(subject);
    const cells = map.rows * map.columns;
    const patch = read.own.get('patch');
    const query = patch === undefined ? 0 : 1 + wholeNumber('--patch', patch, 0, cells - 1);
    const head = read.own.get('head') ?? 'rollout';
    const place =
      head === 'rollout' ? heads : head === 'mean' ? 0 : wholeNumber('--head', head, 0, heads - 1);
    const maps = await attentionOf(subject, query, read.options.layer);
    const chosen =
      head === 'mean' ? meanOfMaps(maps, heads, cells) : maps.subarray(place * cells, (place + 1) * cells);
    const values = onImage(chosen, map);
    const range = { low: 0, high: Math.max(valueRange(values).high, 1e-12) };
    await writeMap(subject, map, { values, ...range, colourMap }, 'attention', read.options);
  });
}

/** [heads + 1, patches]; the last map is the rollout. */
async function attentionOf(
  subject: ImageSubject,
  query: number,
  layer: number | null,
): Promise<Float32Array> {
  const { heads, layers } = transformerOf(subject);
  const means: Float32Array[] = [];
  let weights: Float32Array = new Float32Array();
  const { tower, image, size } = subject;
  await tower.features.attentionByLayer(image, size, layer ?? layers, ofLayer => {
    weights = ofLayer;
    means.push(meanOverHeads(ofLayer, heads));
  });
  return attentionMaps(means, weights, heads, query);
}

/** Throws SettingError for a model without tokens. */
function transformerOf({ tower }: ImageSubject) {
  const { architecture } = tower.model;
  if (architecture.kind !== 'resnet') return architecture;
  throw new SettingError(
    `${describeArchitecture(architecture)} has no tokens and no attention between them; choose a vision transformer`,
  );
}

function mapSize({ tower, image, size }: ImageSubject): MapSize {
  const side = size / tower.model.architecture.patchSize;
  return { rows: side, columns: side, valid: tower.features.validGrid(image, size) };
}

async function writeMap(
  subject: ImageSubject,
  map: MapSize,
  layer: { values: Float32Array; low: number; high: number; colourMap: ColourMapName },
  name: string,
  options: OverlayOptions,
): Promise<void> {
  const placement = placeMap(subject, map);
  await writeOverlay({ image: subject.image, placement }, { kind: 'values', ...layer }, options);
  await writeCellTable(options.csv, { map }, [name], cell => [layer.values[cell]!]);
  const { rows, columns } = map.valid;
  const { low, high, colourMap } = layer;
  if (options.json)
    console.log(JSON.stringify({ out: options.out, rows, columns, low, high, colours: colourMap }));
  else
    console.log(
      `${name} from ${low.toPrecision(3)} to ${high.toPrecision(3)} on ${rows} × ${columns} patches: ${options.out}`,
    );
}
