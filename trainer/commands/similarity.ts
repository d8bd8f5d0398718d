import {
  boxQuery,
  patchQuery,
  similarityMap,
  toUnitMap,
  type UnitMap,
  valueRange,
} from '../dense/similarity.ts';
import type { PixelBox } from '../images/geometry.ts';
import { SettingError } from '../training/settings.ts';
import { UsageError } from '../usageError.ts';
import { type MappedImage, mapImage, writeCellTable, writeOverlay } from './overlayImage.ts';
import {
  colourMapOption,
  coloursHelp,
  overlayHelp,
  overlayUsage,
  readOverlayOptions,
} from './overlayOptions.ts';

const help = `usage: clipself similarity (--patch ROW,COLUMN | --box x0,y0,x1,y1) ${overlayUsage} [--colours viridis]

Draws the cosine of every patch of an image with a query over the image; the lowest cosine takes the first colour, the
highest the last.

  --patch R,C   the query is this patch, counted from 0; one number is its row-major index
  --box B       the query is the feature pooled over this box, in pixels of the image file
${coloursHelp}
${overlayHelp}`;

const own = { patch: { type: 'string' }, box: { type: 'string' }, colours: { type: 'string' } } as const;

type Query = { patch: readonly number[] } | { box: PixelBox };

/** `clipself similarity`. */
export async function similarityCommand(args: string[]): Promise<void> {
  const read = readOverlayOptions('similarity', own, args);
  if (!read) {
    console.log(help);
    return;
  }
  const { options } = read;
  const query = parseQuery(read.own.get('patch'), read.own.get('box'));
  const colourMap = colourMapOption(read.own);
  const mapped = await mapImage(options);
  const values = similarities(mapped, query);
  const { low, high } = valueRange(values);
  await writeOverlay(mapped, { kind: 'values', values, low, high, colourMap }, options);
  await writeCellTable(options.csv, mapped, ['cosine'], cell => [values[cell]!]);
  const { rows, columns } = mapped.map.valid;
  if (options.json) {
    const { out } = options;
    console.log(JSON.stringify({ out, rows, columns, ...query, low, high, colours: colourMap }));
  } else
    console.log(
      `cosines from ${low.toFixed(3)} to ${high.toFixed(3)} on ${rows} × ${columns} patches: ${options.out}`,
    );
}

function similarities({ map, placement }: MappedImage, query: Query): Float32Array {
  const unit = toUnitMap(map);
  const { imageWidth: width, imageHeight: height, size } = placement;
  try {
    const vector =
      'box' in query ? boxQuery(unit, query.box, { width, height }, size) : patchAt(unit, query.patch);
    return similarityMap(unit, vector);
  } catch (error) {
    throw new SettingError(`--${'box' in query ? 'box' : 'patch'}: ${(error as Error).message}`);
  }
}

function patchAt(map: UnitMap, [first, second]: readonly number[]): Float32Array {
  if (second !== undefined) return patchQuery(map, first!, second);
  return patchQuery(map, Math.floor(first! / map.columns), first! % map.columns);
}

function parseQuery(patch: string | undefined, box: string | undefined): Query {
  if ((patch === undefined) === (box === undefined))
    throw new UsageError('similarity needs either --patch or --box (clipself similarity --help)');
  if (patch !== undefined) {
    if (!/^\d+(,\d+)?$/.test(patch))
      throw new SettingError(`--patch takes ROW,COLUMN, such as 3,7; got '${patch}'`);
    return { patch: patch.split(',').map(Number) };
  }
  const [x0, y0, x1, y1, ...more] = box!
    .split(',')
    .map(part => (part.trim() === '' ? Number.NaN : Number(part)));
  const edges = [x0, y0, x1, y1];
  if (more.length > 0 || !edges.every(Number.isFinite) || x1! <= x0! || y1! <= y0!)
    throw new SettingError(`--box takes x0,y0,x1,y1 in pixels with x0 < x1 and y0 < y1; got '${box}'`);
  return { box: [x0!, y0!, x1!, y1!] };
}
