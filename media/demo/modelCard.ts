import type { PretrainSettings } from '../../trainer/protocol.ts';
import { attribution } from '../../trainer/world/attribution.ts';
import { iconStyles, type StyleName, styleNames } from '../../trainer/world/styles.ts';

/** What the card of the tiny CLIP tells. */
export interface ModelFacts {
  settings: PretrainSettings;
  /** What it was trained on, in words. */
  machine: string;
  /** The run whose weights it started from; null where it started from random ones. */
  earlier: EarlierRun | null;
  parameters: number;
  /** Styles trained on. */
  styles: readonly StyleName[];
  steps: number;
  /** Spent in those steps. */
  seconds: number;
  /** Crops of each style that were named, and `zeroShot.<style>` as fractions of 1. */
  crops: number;
  scores: Readonly<Record<string, number>>;
  /** Mean accuracy of the styles trained on, and of the others, as it trained. */
  curve: readonly { step: number; trained: number; heldOut: number }[];
}

/** Steps of a run that another went on from. */
export interface EarlierRun {
  settings: PretrainSettings;
  steps: number;
}

/** Lines of the learning curve at most. */
const curveLines = 10;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** The model card, as Markdown. */
export function modelCard(facts: ModelFacts): string {
  const { settings, machine, earlier, parameters, styles, steps, seconds, crops, scores, curve } = facts;
  const pairs = steps * pairsOf(settings) + (earlier ? earlier.steps * pairsOf(earlier.settings) : 0);
  const every = Math.ceil(curve.length / curveLines);
  const shownCurve = curve.filter((_, index) => (curve.length - 1 - index) % every === 0);
  return [
    '# A tiny CLIP that knows Emoji World',
    '',
    `An OpenCLIP ViT with ${(parameters / 1e6).toFixed(2)} million parameters, trained from scratch by CLIPSelf Lab itself (\`clipself pretrain\`) to show CLIPSelf at work.`,
    'It knows 64 things and 14 kinds of stuff as icons and painted textures, and nothing of photographs.',
    '',
    `- **Data.** Crops of endless rendered scenes in the styles ${styles.join(', ')}; ${pairs.toLocaleString('en')} image–text pairs.`,
    `- **Training.** ${earlier ? `${scheduleOf(earlier)}; from there ` : ''}${scheduleOf(facts)} in ${duration(seconds)} on ${machine}.`,
    '- **File.** float16, OpenCLIP names; `open_clip_config.json` and `tokenizer.json` beside it.',
    '',
    `## Accuracy`,
    '',
    `Crops of things named among the 64 by the words of the built-in prompts, ${crops} crops of each style, from scenes that no training saw:`,
    '',
    '| style | accuracy |',
    '| --- | ---: |',
    ...styleNames
      .filter(style => scores[`zeroShot.${style}`] !== undefined)
      .map(
        style =>
          `| ${iconStyles[style].title}${styles.includes(style) ? '' : ', never trained on'} | ${percent(scores[`zeroShot.${style}`]!)} |`,
      ),
    '',
    `As it trained, on ${settings.evaluationCrops} crops of each style:`,
    '',
    '| step | styles trained on | style held out |',
    '| ---: | ---: | ---: |',
    ...shownCurve.map(
      ({ step, trained, heldOut }) => `| ${step} | ${percent(trained)} | ${percent(heldOut)} |`,
    ),
    '',
    attribution(styles, 'model').replace(/^# /, '## '),
    'The weights are under the MIT licence of CLIPSelf Lab.',
    '',
  ].join('\n');
}

const pairsOf = ({ batch, groups }: PretrainSettings): number => batch * groups;

/** `3,224 steps of 4 × 64 pairs, AdamW 0.001, cosine, seed 0`. */
function scheduleOf({ settings, steps }: EarlierRun): string {
  const { batch, groups, learningRate, seed } = settings;
  const pairs = groups === 1 ? `${batch} pairs` : `${groups} × ${batch} pairs`;
  return `${steps.toLocaleString('en')} steps of ${pairs}, AdamW ${learningRate}, cosine, seed ${seed}`;
}

const duration = (seconds: number): string =>
  seconds < 5400 ? `${Math.round(seconds / 60)} minutes` : `${(seconds / 3600).toFixed(1)} hours`;
