import { clusterMap } from '../dense/kMeans.ts';
import { clusterLegend } from '../dense/legend.ts';
import { toUnitMap } from '../dense/similarity.ts';
import { clusterWords } from '../dense/words.ts';
import { SettingError } from '../training/settings.ts';
import { UsageError } from '../usageError.ts';
import { wholeNumber } from './optionValues.ts';
import { mapImage, writeCellTable, writeOverlay } from './overlayImage.ts';
import { overlayHelp, overlayUsage, readOverlayOptions } from './overlayOptions.ts';
import { embedWords, readWordChoice, wordHelp, wordOptions, wordUsage } from './wordOptions.ts';

const help = `usage: clipself kmeans --k N ${overlayUsage} [--seed 0] [--restarts 4] [--smooth]
                       [${wordUsage}]

Draws the K-Means clusters of an image's dense features over the image, and prints each cluster's share of it
and, with words, the one nearest to its mean feature.

  --k N         clusters, 2 to 20
  --seed N      same seed, same clusters
  --restarts N  seedings of k-means++ that compete
  --smooth      each patch takes the commonest cluster of the 3 × 3 patches around it
${wordHelp}
${overlayHelp}`;

const own = {
  k: { type: 'string' },
  seed: { type: 'string' },
  restarts: { type: 'string' },
  smooth: { type: 'boolean' },
  ...wordOptions,
} as const;

/** `clipself kmeans`. */
export async function kMeansCommand(args: string[]): Promise<void> {
  const read = readOverlayOptions('kmeans', own, args);
  if (!read) {
    console.log(help);
    return;
  }
  const { options } = read;
  const asked = read.own.get('k');
  if (asked === undefined) throw new UsageError('kmeans needs --k (clipself kmeans --help)');
  const k = wholeNumber('--k', asked, 2, 20);
  const seed = wholeNumber('--seed', read.own.get('seed') ?? '0', 0, 2 ** 31 - 1);
  const restarts = wholeNumber('--restarts', read.own.get('restarts') ?? '4', 1, 100);
  const choice = await readWordChoice(read.own);
  const words = choice && (await embedWords(choice, options));
  const mapped = await mapImage(options);
  const { rows, columns } = mapped.map.valid;
  if (k > rows * columns)
    throw new SettingError(
      `--k ${k} is more than the ${rows} × ${columns} patches of the image; use a larger --size`,
    );
  const clusters = clusterMap(mapped.map, { k, seed, restarts, median: read.own.has('smooth') });
  const { labels, shares, inertia } = clusters;
  const colours = shares.map((_, cluster) => cluster);
  await writeOverlay(mapped, { kind: 'labels', labels, colours }, options);
  const nearest = words && clusterWords(toUnitMap(mapped.map), labels, k, words);
  const nameOf = (cluster: number): string => words?.names[nearest?.[cluster]?.word ?? -1] ?? '';
  await writeCellTable(options.csv, mapped, words ? ['cluster', 'word'] : ['cluster'], cell => {
    const label = labels[cell]!;
    return words ? [label, nameOf(label)] : [label];
  });
  const legend = clusterLegend(shares, colours).map(entry => ({
    ...entry,
    ...(nearest ? { word: nameOf(entry.cluster), cosine: nearest[entry.cluster]?.cosine ?? null } : {}),
  }));
  if (options.json) {
    console.log(JSON.stringify({ out: options.out, rows, columns, k, seed, inertia, clusters: legend }));
    return;
  }
  console.log(`${k} clusters of ${rows} × ${columns} patches: ${options.out}`);
  for (const { cluster, colour, share, word } of legend)
    console.log(
      `  ${String(cluster).padStart(2)}  ${colour}  ${(100 * share).toFixed(1).padStart(5)} %${word ? `  ${word}` : ''}`,
    );
}
