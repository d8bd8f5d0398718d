import path from 'node:path';
import type { ModelReference } from '../trainer/inspect/protocol.ts';
import { quoteWord } from '../trainer/shellWord.ts';
import type { CopyCommandQuery } from '../webview/inspector/protocol/requests.ts';
import type { InspectorState, InspectorView, WordsSettings } from '../webview/inspector/protocol/state.ts';

/** Command of `clipself` that draws what a view shows; views without one of their own give the features. */
type Command = 'kmeans' | 'pca' | 'similarity' | 'words' | 'regions' | 'norms' | 'attention' | 'features';

const commands: Readonly<Record<InspectorView, Command>> = {
  kMeans: 'kmeans',
  pca: 'pca',
  similarity: 'similarity',
  words: 'words',
  regions: 'regions',
  patches: 'features',
  norms: 'norms',
  attention: 'attention',
};

/** The cosines of a patch grid are those of regions that lie as its cells do. */
const commandOf = ({ view, boxes }: CopyCommandQuery) =>
  view === 'patches' && boxes !== undefined ? 'regions' : commands[view];

/** How the picture looks beyond its numbers. */
export type Look = Pick<InspectorState, 'opacity' | 'smooth' | 'colourMap'>;

/** A value that begins with a dash would be taken for a flag of its own. */
function flag(name: string, value: number | string | null | undefined): string[] {
  if (value === undefined || value === null) return [];
  const text = String(value);
  return text.startsWith('-') ? [`--${name}=${text}`] : [`--${name}`, text];
}

/** Which features; defaults are left out. Norms and attention are of tokens, whatever features are read from them. */
function readingFlags({ view, query: { readOut, layer }, attention }: CopyCommandQuery): string[] {
  if (view === 'norms') return flag('layer', layer);
  if (view === 'attention') return flag('layer', attention?.layer);
  return [...flag('read-out', readOut === 'value' ? null : readOut), ...flag('layer', layer)];
}

/** Views whose values take the colour map that is chosen. */
const valueViews: ReadonlySet<InspectorView> = new Set(['similarity', 'words', 'norms', 'attention']);

/** The words that name things; none where there are none. */
function wordFlags(words: WordsSettings | undefined): string[] {
  if (words === undefined || words.list.length === 0) return [];
  return [
    ...flag('words', words.list.join(',')),
    ...flag('embeddings', words.embeddings),
    ...(words.prompts === 'plain' && words.embeddings === null ? ['--plain'] : []),
  ];
}

/** What is drawn of the words. */
function segmentationFlags({ list, shown, temperature }: WordsSettings): string[] {
  if (shown !== null && list.includes(shown)) return flag('map', shown);
  return flag('temperature', temperature === 0.01 ? null : temperature);
}

/** Flags of the commands that draw a view; defaults are left out. */
function drawingFlags(query: CopyCommandQuery, { opacity, smooth, colourMap }: Look): string[] {
  return [
    ...viewFlags(query),
    ...flag('colours', valueViews.has(query.view) && colourMap !== 'viridis' ? colourMap : null),
    ...flag('opacity', opacity === 0.6 ? null : opacity),
    ...(smooth ? ['--bilinear'] : []),
  ];
}

function viewFlags({
  view,
  k,
  seed,
  restarts,
  smooth,
  components,
  patch,
  boxes,
  attention,
  words,
}: CopyCommandQuery): string[] {
  switch (view) {
    case 'kMeans': {
      const seeding = [...flag('k', k), ...flag('seed', seed), ...flag('restarts', restarts)];
      return [...seeding, ...(smooth ? ['--smooth'] : []), ...wordFlags(words)];
    }
    case 'pca':
      return flag('components', components?.join(','));
    case 'similarity':
      if (patch === undefined && boxes?.[0] === undefined) {
        throw new Error('Point at a patch first: the similarity is to one.');
      }
      return boxes?.[0] === undefined ? flag('patch', patch) : flag('box', boxes[0].join(','));
    case 'words':
      if (words === undefined || words.list.length === 0)
        throw new Error('Type a word first: the map is of one.');
      return [...wordFlags(words), ...segmentationFlags(words)];
    case 'attention':
      return [
        ...flag('patch', patch),
        ...flag('head', attention?.head === 'rollout' ? null : attention?.head),
      ];
    default:
      return [];
  }
}

/**
 * Arguments of `clipself` that reproduce what the panel shows.
 *
 * @param image Absolute path of the image.
 * @throws Error when nothing is chosen that the view is of.
 */
export function inspectArguments(
  query: CopyCommandQuery,
  model: ModelReference,
  image: string,
  look: Look,
): string[] {
  const command = commandOf(query);
  const draws = command !== 'features' && command !== 'regions';
  const { name } = path.parse(image);
  return [
    command,
    ...flag('model', model.path),
    ...flag('arch', model.arch),
    ...flag('step', model.step),
    ...flag('image', image),
    ...flag('boxes', command === 'regions' ? boxesFileOf(image) : null),
    ...flag('size', query.query.size),
    ...readingFlags(query),
    ...(draws
      ? drawingFlags(query, look)
      : flag('overlay', command === 'regions' ? `${name}-regions.png` : null)),
    ...(command === 'regions' ? wordFlags(query.words) : []),
    ...flag('out', `${name}-${command}.${draws ? 'png' : 'safetensors'}`),
  ];
}

const boxesFileOf = (image: string): string => `${path.parse(image).name}-boxes.json`;

export function commandLineOf(args: readonly string[], platform: NodeJS.Platform): string {
  return ['clipself', ...args].map(word => quoteWord(word, platform)).join(' ');
}

/**
 * The line for the clipboard. Boxes are in a file of their own, which the line writes first.
 *
 * @throws Error when the command line cannot reproduce the view.
 */
export function reproducingLine(
  query: CopyCommandQuery,
  model: ModelReference,
  image: string,
  look: Look,
  platform: NodeJS.Platform,
): string {
  const line = commandLineOf(inspectArguments(query, model, image, look), platform);
  if (commandOf(query) !== 'regions') return line;
  if (!query.boxes?.length) throw new Error('Draw or load a box first: the regions are boxes.');
  if (query.masked) {
    throw new Error(
      'Some regions have masks, and the command reads boxes alone: remove these regions first.',
    );
  }
  const boxes = quoteWord(JSON.stringify(query.boxes), platform);
  const file = quoteWord(boxesFileOf(image), platform);
  return platform === 'win32'
    ? `Set-Content ${file} ${boxes}; ${line}`
    : `printf %s ${boxes} > ${file} && ${line}`;
}
