import { parseArgs } from 'node:util';
import { hashFile } from '../checkpoints/modelFiles.ts';
import { modelPath } from '../checkpoints/modelsFolder.ts';
import { createEngine } from '../engines/createEngine.ts';
import { disposeAll, type Engine } from '../engines/engine.ts';
import { type ResolvedModel, resolveReference } from '../inspect/modelReference.ts';
import { accuracyOf, recordedScores, type StyleScore, ZeroShotEvaluation } from '../pretrain/zeroShot.ts';
import { embedClasses } from '../text/embedClasses.ts';
import { findTextSource } from '../text/promptEncoder.ts';
import { defaultPrompts } from '../text/prompts.ts';
import { UsageError } from '../usageError.ts';
import { thingClasses } from '../world/classes.ts';
import { parseStyleList } from '../world/styleList.ts';
import { iconStyles, type StyleName, styleNames, trainingStyles } from '../world/styles.ts';
import { engineOptions, outputOptions } from './commonOptions.ts';
import { threadNumber, wholeNumber } from './optionValues.ts';

const help = `usage: clipself zero-shot --model M [options]

Names crops of Emoji World's 64 things with words, drawing style by drawing style: how well a CLIP knows the world that
the demo is about. The crops come from scenes of a seed of their own. This works in a clone, after npm ci.

  --model M      weights file, folder of a model, or run directory
  --styles LIST  default ${styleNames.join(',')}
  --crops N      of each style, 64 … 100000, default 640
  --seed N       of the scenes, default 1000; pre-training looks at those of its own seed
  --arch A  --engine E  --threads N  --json`;

const options = {
  model: { type: 'string' },
  arch: { type: 'string' },
  styles: { type: 'string', default: styleNames.join(',') },
  crops: { type: 'string', default: '640' },
  seed: { type: 'string', default: '1000' },
  ...engineOptions,
  ...outputOptions,
} as const;

interface Request {
  styles: StyleName[];
  crops: number;
  seed: number;
}

/** `clipself zero-shot`. */
export async function zeroShotCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options });
  if (values.help) {
    console.log(help);
    return;
  }
  if (values.model === undefined)
    throw new UsageError('zero-shot needs --model M (clipself zero-shot --help)');
  const request: Request = {
    styles: parseStyleList(values.styles),
    crops: wholeNumber('--crops', values.crops, 64, 100_000),
    seed: wholeNumber('--seed', values.seed, 0, 2 ** 31 - 1),
  };
  const threads = threadNumber(values.threads);
  const reference = {
    path: await modelPath(values.model),
    arch: values.arch ?? null,
    step: null,
    blend: null,
  };
  const model = await resolveReference(reference, { of: hashFile });
  const engine = await createEngine(values.engine, threads);
  try {
    const scores = await measure(engine, model, request);
    if (values.json) console.log(JSON.stringify({ ...request, ...recordedScores(scores, trainingStyles) }));
    else report(scores);
  } finally {
    await engine.dispose();
  }
}

async function measure(
  engine: Engine,
  model: ResolvedModel,
  { styles, crops, seed }: Request,
): Promise<Map<StyleName, StyleScore>> {
  const source = await findTextSource(model.files, model.source?.path ?? null);
  const names = thingClasses.map(({ name }) => name);
  const classes = await embedClasses(engine, source, model.hash, names, defaultPrompts);
  const parameters = await model.upload(engine);
  const evaluation = await ZeroShotEvaluation.create(engine, model.files, styles, crops, seed);
  try {
    return (await evaluation.measure(parameters, classes.data, () => false))!;
  } finally {
    await evaluation.dispose();
    disposeAll(parameters.values());
  }
}

/** Classes that are named in the report, those known least. */
const worstClasses = 8;

function report(scores: ReadonlyMap<StyleName, StyleScore>): void {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`.padStart(7);
  for (const [style, score] of scores) {
    const note = iconStyles[style].heldOut ? 'held out of training' : '';
    console.log(`${style.padEnd(18)} ${percent(accuracyOf(score))}  ${note}`.trimEnd());
  }
  const byClass = thingClasses.map(({ name }, label) => {
    const sum = (pick: (score: StyleScore) => readonly number[]): number =>
      [...scores.values()].reduce((total, score) => total + pick(score)[label]!, 0);
    return {
      name,
      share:
        sum(({ right }) => right) /
        Math.max(
          1,
          sum(({ counts }) => counts),
        ),
    };
  });
  const worst = byClass.sort((a, b) => a.share - b.share).slice(0, worstClasses);
  console.log(
    `known least: ${worst.map(({ name, share }) => `${name} ${percent(share).trim()}`).join(', ')}`,
  );
}
