import path from 'node:path';
import { parseArgs } from 'node:util';
import { RunLog } from '../runs/runLog.ts';
import { formatDuration } from '../training/progress.ts';
import { SettingError } from '../training/settings.ts';
import { UsageError } from '../usageError.ts';
import { type SceneSettings, sceneDefaults } from '../world/scene.ts';
import { parseStyleList } from '../world/styleList.ts';
import { heldOutStyles, styleNames, trainingStyles } from '../world/styles.ts';
import { type WorldRequest, writeWorld } from '../world/writeWorld.ts';
import { wholeNumber } from './optionValues.ts';

const help = `usage: clipself world --out DIR [options]

Renders Emoji World: scenes of icons before painted surroundings, as images/*.jpg with the truth in COCO's formats:
panoptic.json and panoptic/*.png, instances.json, captions.json. The same options give the same bytes. The icons are
development dependencies: this works in a clone of the repository, after npm ci.

  --seed N       default 0
  --count N      scenes, 1 … 200000, default 100
  --size PIXELS  longest side, 48 … 2048, default ${sceneDefaults.longestSide}
  --things A-B   things of a scene, at most 64, default 4-9
  --thing-size A-B  smallest and largest side of things as drawn, shares of the longest side of the scene,
                 default ${sceneDefaults.smallestThing}-${sceneDefaults.largestThing}
  --overlap X    share of a thing's box that others may cover where there is room elsewhere, 0 … 1, default ${sceneDefaults.overlap}
  --styles LIST  of ${styleNames.join(', ')};
                 default all but ${heldOutStyles.join(', ')}, which no training sees
  --json         the outcome as one JSON line on stdout`;

const options = {
  out: { type: 'string' },
  seed: { type: 'string', default: '0' },
  count: { type: 'string', default: '100' },
  size: { type: 'string', default: String(sceneDefaults.longestSide) },
  things: { type: 'string', default: '4-9' },
  'thing-size': { type: 'string', default: `${sceneDefaults.smallestThing}-${sceneDefaults.largestThing}` },
  overlap: { type: 'string', default: String(sceneDefaults.overlap) },
  styles: { type: 'string', default: trainingStyles.join(',') },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h' },
} as const;

function parseThings(text: string): [fewest: number, most: number] {
  const [, fewest, most = fewest] = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(text) ?? [];
  const range = [Number(fewest), Number(most)] as const;
  if (fewest === undefined || range[0] > range[1] || range[1] > 64)
    throw new SettingError(`--things takes two numbers up to 64 such as 4-9; got '${text}'`);
  return [...range];
}

function parseThingSize(text: string): Pick<SceneSettings, 'smallestThing' | 'largestThing'> {
  const [, smallest, largest] = /^(\d*\.?\d+)-(\d*\.?\d+)$/.exec(text) ?? [];
  const [smallestThing, largestThing] = [Number(smallest), Number(largest)];
  if (smallest !== undefined && smallestThing >= 0.05 && smallestThing <= largestThing && largestThing <= 1)
    return { smallestThing, largestThing };
  throw new SettingError(`--thing-size takes two shares from 0.05 to 1 such as 0.18-0.5; got '${text}'`);
}

function share(option: string, text: string): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (number >= 0 && number <= 1) return number;
  throw new SettingError(`${option} takes a number from 0 to 1; got '${text}'`);
}

/** `clipself world`. */
export async function worldCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options });
  if (values.help) {
    console.log(help);
    return;
  }
  if (values.out === undefined) throw new UsageError('world needs --out DIR (clipself world --help)');
  const [fewestThings, mostThings] = parseThings(values.things);
  const request: WorldRequest = {
    ...sceneDefaults,
    seed: wholeNumber('--seed', values.seed, 0, 2 ** 31 - 1),
    count: wholeNumber('--count', values.count, 1, 200_000),
    longestSide: wholeNumber('--size', values.size, 48, 2048),
    ...parseThingSize(values['thing-size']),
    overlap: share('--overlap', values.overlap),
    styles: parseStyleList(values.styles),
    fewestThings,
    mostThings,
  };
  const directory = path.resolve(values.out);
  await render(directory, request);
  if (values.json) console.log(JSON.stringify({ directory, scenes: request.count }));
  else console.log(`${request.count} scenes: ${directory}`);
}

async function render(directory: string, request: WorldRequest): Promise<void> {
  const log = new RunLog(process.stderr);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort(new Error('stopped; the data set is not complete'));
  process.once('SIGINT', onSignal);
  const started = performance.now();
  try {
    await writeWorld(directory, request, {
      signal: stop.signal,
      onProgress: done => {
        const each = (performance.now() - started) / 1000 / done;
        const left = formatDuration(each * (request.count - done));
        log.progress(`scene ${done}/${request.count}  ${(1 / each).toFixed(0)} images/s  ${left} left`);
      },
    });
  } finally {
    process.off('SIGINT', onSignal);
    log.endProgress();
  }
}
