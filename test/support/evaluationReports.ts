/**
 * Reports and regions files as an evaluation leaves them, for tests of what reads them. Rankings are made up from a
 * seed, then really counted, so that a report and its regions agree.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type Accuracy,
  type Confusion,
  type EvaluatedClass,
  type EvaluatedRegion,
  type EvaluationReport,
  type ReadingReport,
  type RegionRanking,
  type RegionReading,
  type RegionSize,
  regionReadings,
  regionSizes,
  regionsFileOf,
  type SweepPoint,
} from '../../trainer/evaluate/protocol.ts';
import { type KeyedRandom, keyedRandom } from '../../trainer/random.ts';

export interface EvaluationImage {
  /** Path below the image folder. */
  name: string;
  width: number;
  height: number;
}

export interface MadeEvaluation {
  seed: number;
  classes: EvaluatedClass[];
  images: EvaluationImage[];
  imageFolder: string;
  regions: number;
  /** Chance that a reading names a region rightly, 0 … 1. */
  skill: Readonly<Record<RegionReading, number>>;
  run?: string;
  epoch?: number;
  /** Path of the model of a report that belongs to no run. */
  model?: string;
}

export interface Evaluation {
  report: EvaluationReport;
  regions: EvaluatedRegion[];
}

/** So many classes, the first half things. */
export function numberedClasses(count: number): EvaluatedClass[] {
  return Array.from({ length: count }, (_, index) => ({
    id: index * 2 + 1,
    name: `class ${String(index).padStart(4, '0')}`,
    isThing: index < count / 2,
  }));
}

/** Regions of one data set are the same for every model: they depend on the seed, the classes and the images alone. */
function makeRegions({
  seed,
  classes,
  images,
  regions,
}: MadeEvaluation): Omit<EvaluatedRegion, 'readings'>[] {
  const random = keyedRandom(seed, 'regions');
  return Array.from({ length: regions }, (_, segment) => {
    const image = images[Math.floor((segment * images.length) / regions)]!;
    // Few classes are frequent and many are rare, as in photographs.
    const place = Math.floor(random.float() ** 2 * classes.length);
    const width = Math.ceil(image.width * (0.08 + 0.5 * random.float()));
    const height = Math.ceil(image.height * (0.08 + 0.5 * random.float()));
    const x0 = Math.floor(random.float() * (image.width - width));
    const y0 = Math.floor(random.float() * (image.height - height));
    return {
      image: image.name,
      segment,
      class: place,
      box: [x0, y0, x0 + width, y0 + height] as [number, number, number, number],
      area: Math.ceil(width * height * (0.4 + 0.6 * random.float())),
    };
  });
}

function makeRanking(truth: number, classes: number, skill: number, random: KeyedRandom): RegionRanking {
  const rank = random.float() < skill ? 1 : 2 + Math.floor(random.float() ** 2 * Math.min(classes - 1, 9));
  const depth = Math.min(5, classes);
  const top: number[] = [];
  for (let step = 1; top.length < depth; step++) {
    if (top.length + 1 === rank) top.push(truth);
    // Mistakes keep to a few neighbours, so that confusions repeat.
    const other = (truth + step * (random.float() < 0.7 ? 1 : 3)) % classes;
    if (top.length < depth && other !== truth && !top.includes(other)) top.push(other);
  }
  const cosines = top.map((_, place) => Number((0.31 - 0.012 * place - 0.004 * random.float()).toFixed(4)));
  const found = top.indexOf(truth);
  const trueCosine =
    found < 0 ? Number((cosines.at(-1)! - 0.004 * (rank - depth)).toFixed(4)) : cosines[found]!;
  return { top, cosines, trueCosine, rank: found < 0 ? Math.max(rank, depth + 1) : found + 1 };
}

function accuracyOf(rankings: readonly { truth: number; ranking: RegionRanking }[]): Accuracy {
  const mean = (values: number[]): number | null =>
    values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    regions: rankings.length,
    top1: mean(rankings.map(({ ranking }) => (ranking.rank === 1 ? 1 : 0))),
    top5: mean(rankings.map(({ ranking }) => (ranking.rank <= 5 ? 1 : 0))),
    margin: mean(
      rankings.map(({ truth, ranking }) => {
        const best = ranking.top.findIndex(named => named !== truth);
        return ranking.trueCosine - (ranking.cosines[best] ?? ranking.trueCosine);
      }),
    ),
  };
}

const sizeOf = (area: number): RegionSize => (area < 32 ** 2 ? 'small' : area < 96 ** 2 ? 'medium' : 'large');

function countReading(regions: readonly EvaluatedRegion[], reading: RegionReading): ReadingReport {
  const read = regions.map(region => ({
    truth: region.class,
    size: sizeOf(region.area),
    ranking: region.readings[reading]!,
  }));
  const counts = new Map<string, Confusion>();
  const byClass = new Map<number, typeof read>();
  for (const entry of read) {
    const { truth, ranking } = entry;
    byClass.set(truth, [...(byClass.get(truth) ?? []), entry]);
    const named = ranking.top[0]!;
    const confusion = counts.get(`${truth} ${named}`) ?? { truth, named, regions: 0 };
    confusion.regions++;
    counts.set(`${truth} ${named}`, confusion);
  }
  const bySize = regionSizes.map(
    size => [size, accuracyOf(read.filter(region => region.size === size))] as const,
  );
  return {
    overall: accuracyOf(read),
    bySize: Object.fromEntries(bySize) as Record<RegionSize, Accuracy>,
    perClass: [...byClass.entries()]
      .sort(([a], [b]) => a - b)
      .map(([index, members]) => ({ class: index, ...accuracyOf(members) })),
    confusions: [...counts.values()],
  };
}

function twelveNumbers(
  readings: EvaluationReport['readings'],
  classes: readonly EvaluatedClass[],
): EvaluationReport['numbers'] {
  const numbers: EvaluationReport['numbers'] = {};
  for (const reading of regionReadings)
    for (const kind of ['thing', 'stuff'] as const)
      for (const top of [1, 5] as const) {
        const accuracies = readings[reading]!.perClass.filter(
          entry => classes[entry.class]!.isThing === (kind === 'thing'),
        ).map(entry => (top === 1 ? entry.top1! : entry.top5!));
        const sum = accuracies.reduce((total, value) => total + value, 0);
        numbers[`${reading}.${kind}.macc${top}`] = accuracies.length === 0 ? null : sum / accuracies.length;
      }
  return numbers;
}

/** Makes regions, has them named with the given skill, and counts. */
export function makeEvaluation(options: MadeEvaluation): Evaluation {
  const { classes, epoch, images, imageFolder, run, seed, skill } = options;
  const regions = makeRegions(options).map((region): EvaluatedRegion => {
    const readings = regionReadings.map(reading => {
      // Crops are named by the frozen teacher: the same in every epoch.
      const model = reading === 'crops' ? 'teacher' : String(skill[reading]);
      const random = keyedRandom(seed, reading, model, region.segment);
      return [reading, makeRanking(region.class, classes.length, skill[reading], random)] as const;
    });
    return { ...region, readings: Object.fromEntries(readings) };
  });
  const readings: EvaluationReport['readings'] = {};
  for (const reading of regionReadings) readings[reading] = countReading(regions, reading);
  const numbers = twelveNumbers(readings, classes);
  const sweep = [224, 448, 672, 896].map((size, index): SweepPoint => {
    const scale = 1 - 0.06 * Math.abs(index - 2);
    const scaled = Object.entries(numbers).map(([name, value]) => [
      name,
      value === null ? null : value * scale,
    ]);
    return { size, numbers: Object.fromEntries(scaled) };
  });
  const report: EvaluationReport = {
    schema: 1,
    created: '2025-01-31T12:00:00.000Z',
    model: {
      name: run === undefined ? 'ViT-B-16.safetensors' : `${path.basename(run)} epoch ${epoch}`,
      path:
        run === undefined
          ? (options.model ?? '/models/ViT-B-16.safetensors')
          : path.join(run, 'student.safetensors'),
      sha256: 'a'.repeat(64),
      run: run ?? null,
      step: epoch === undefined ? null : epoch * 50,
      epoch: epoch ?? null,
    },
    data: {
      annotations: '/annotations/panoptic.json',
      images: imageFolder,
      masks: '/annotations/panoptic',
      sha256: 'b'.repeat(64),
    },
    words: { source: 'default prompts', sha256: 'c'.repeat(64) },
    size: 448,
    classes,
    counts: {
      images: images.length,
      regions: regions.length,
      skipped: { 'smaller than 64 px': 17, 'image unreadable': 2 },
    },
    numbers,
    readings,
    retention: {
      images: 500,
      student: { top1: 0.612 - 0.004 * (epoch ?? 0), top5: 0.871 - 0.002 * (epoch ?? 0) },
      teacher: { top1: 0.612, top5: 0.871 },
    },
    sweep,
    time: { seconds: 321, forwardSeconds: 290, imagesPerSecond: 4.2 },
    versions: { clipself: '0.1.0', engine: 'onnxruntime-node' },
  };
  return { report, regions };
}

/** Writes `report.json` and the regions beside it. */
export async function writeEvaluation(file: string, { report, regions }: Evaluation): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(regionsFileOf(file), regions.map(region => `${JSON.stringify(region)}\n`).join(''));
  await writeFile(file, `${JSON.stringify(report)}\n`);
}
