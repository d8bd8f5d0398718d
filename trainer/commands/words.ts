import { clusterColour, cssColour } from '../dense/colourMaps.ts';
import type { Layer } from '../dense/overlay.ts';
import { toUnitMap, valueRange } from '../dense/similarity.ts';
import {
  mapOfWord,
  nearestWordLabels,
  segmentationLayer,
  wordCosines,
  wordProbabilities,
  wordShares,
} from '../dense/words.ts';
import { SettingError } from '../training/settings.ts';
import { UsageError } from '../usageError.ts';
import { realNumber } from './optionValues.ts';
import { mapImage, writeCellTable, writeOverlay } from './overlayImage.ts';
import {
  colourMapOption,
  coloursHelp,
  overlayHelp,
  overlayUsage,
  readOverlayOptions,
} from './overlayOptions.ts';
import { embedWords, readWordChoice, wordHelp, wordOptions, wordUsage } from './wordOptions.ts';

const help = `usage: clipself words ${wordUsage} ${overlayUsage} [--temperature T | --map WORD [--colours viridis]]

Names every patch of an image by the words: draws the nearest word of each over the image, and prints each word's
share of it.

${wordHelp}
  --temperature T  of the softmax over the words, whose colours are mixed by it; 0.01 without it, which is CLIP's
                own. 0 gives a patch to its nearest word
  --map WORD    draws the cosine of every patch with this word instead; the lowest cosine takes the first colour
${coloursHelp}
${overlayHelp}`;

const own = {
  ...wordOptions,
  temperature: { type: 'string' },
  map: { type: 'string' },
  colours: { type: 'string' },
} as const;

/** `clipself words`. */
export async function wordsCommand(args: string[]): Promise<void> {
  const read = readOverlayOptions('words', own, args);
  if (!read) {
    console.log(help);
    return;
  }
  const { options } = read;
  const asked = read.own.get('temperature');
  const map = read.own.get('map');
  const temperature = realNumber('--temperature', asked ?? '0.01', 0, 10);
  const colourMap = colourMapOption(read.own);
  if (map !== undefined && asked !== undefined)
    throw new UsageError('--map draws cosines, which have no --temperature');
  const choice = await readWordChoice(read.own);
  if (choice === null) throw new UsageError('words needs --words or --classes (clipself words --help)');
  const { names } = choice;
  if (map !== undefined && !names.includes(map))
    throw new SettingError(`--map takes one of the words; got '${map}'`);
  const words = await embedWords(choice, options);
  const mapped = await mapImage(options);
  const cosines = wordCosines(toUnitMap(mapped.map), words);
  const count = names.length;
  let layer: Layer = segmentationLayer(cosines, count, temperature);
  if (map !== undefined) {
    const values = mapOfWord(cosines, count, names.indexOf(map));
    layer = { kind: 'values', values, ...valueRange(values), colourMap };
  }
  await writeOverlay(mapped, layer, options);
  const labels = nearestWordLabels(cosines, count);
  await writeCellTable(options.csv, mapped, ['word', ...names], cell => [
    names[labels[cell]!]!,
    ...cosines.subarray(cell * count, (cell + 1) * count),
  ]);
  const shares = wordShares(wordProbabilities(cosines, count, temperature), count, mapped.map);
  const legend = names.map((word, index) => ({
    word,
    colour: cssColour(clusterColour(index)),
    share: shares[index]!,
  }));
  const { rows, columns } = mapped.map.valid;
  if (options.json) {
    console.log(JSON.stringify({ out: options.out, rows, columns, temperature, words: legend }));
    return;
  }
  console.log(`${count} words on ${rows} × ${columns} patches: ${options.out}`);
  for (const { word, colour, share } of legend)
    console.log(`  ${colour}  ${(100 * share).toFixed(1).padStart(5)} %  ${word}`);
}
