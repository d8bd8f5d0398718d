import path from 'node:path';
import { parseArgs } from 'node:util';
import { hashFile } from '../checkpoints/modelFiles.ts';
import { modelPath } from '../checkpoints/modelsFolder.ts';
import { writeSafetensors } from '../checkpoints/safetensors.ts';
import { createEngine } from '../engines/createEngine.ts';
import type { Engine } from '../engines/engine.ts';
import { type FoundModel, findModel } from '../inspect/modelReference.ts';
import { writeClassEmbeddings } from '../text/classEmbeddings.ts';
import { readClassList } from '../text/classList.ts';
import { embedClasses } from '../text/embedClasses.ts';
import { findTextSource, PromptEncoder, type TextSource } from '../text/promptEncoder.ts';
import { defaultPrompts, readPrompts } from '../text/prompts.ts';
import { UsageError } from '../usageError.ts';
import { engineOptions, modelOptions, outputOptions } from './commonOptions.ts';
import { stepNumber, threadNumber } from './optionValues.ts';
import { interruptible, openTextCache } from './readingText.ts';

const help = `usage: clipself text --model M --prompt "…" [--prompt "…"]… --out F.safetensors
       clipself text --model M --classes FILE [--prompts FILE] --out F.npy
                     [--arch A] [--step N] [--engine E] [--threads N] [--no-cache] [--json]

The first form writes two tensors: tokens [n, L] (int64), the token ids of the prompts, and text [n, D], their
embeddings of unit norm. The second writes class embeddings [classes, D] of unit norm: the mean direction of the
prompts of each class, rows in the order of the list (categories by id).

  --model M      weights file, folder of a model, or run directory; a tokenizer.json beside the weights is used
  --step N       checkpoint of the run; its student without it
  --classes F    COCO-style annotations (their categories), a JSON array of names or of {"id", "name", "isthing"}, or a
                 text file with a name a line
  --prompts F    sentences, a line each or a JSON array: {} is the name, {article} is "a" or "an"; the built-in
                 ${defaultPrompts.templates.length} without it. Names lose '_' and a last '.', '/' becomes 'or'; prompts that begin with "a" or "the"
                 get "This is" in front, as in the published code
  --no-cache     neither look for class embeddings of an earlier run of this command nor keep them (they are in
                 the user's cache folder, or in $CLIPSELF_CACHE)`;

type Values = ReturnType<typeof parse>;

const parse = (args: string[]) =>
  parseArgs({
    args,
    options: {
      ...modelOptions,
      prompt: { type: 'string', multiple: true },
      classes: { type: 'string' },
      prompts: { type: 'string' },
      out: { type: 'string' },
      ...engineOptions,
      'no-cache': { type: 'boolean', default: false },
      ...outputOptions,
    },
  }).values;

/** `clipself text`. */
export async function textCommand(args: string[]): Promise<void> {
  const values = parse(args);
  if (values.help) {
    console.log(help);
    return;
  }
  const { model: given, out, prompt, classes } = values;
  if (given === undefined || out === undefined || (prompt === undefined) === (classes === undefined))
    throw new UsageError('text needs --model, --out and either --prompt or --classes (clipself text --help)');
  if (values.prompts !== undefined && classes === undefined)
    throw new UsageError('--prompts belongs to --classes; single prompts are given with --prompt');
  const ending = classes === undefined ? '.safetensors' : '.npy';
  if (path.extname(out).toLowerCase() !== ending)
    throw new UsageError(`--out must end with ${ending} here; got '${out}'`);
  const threads = threadNumber(values.threads);
  const step = stepNumber(values.step);
  const model = await findModel(
    { path: await modelPath(given), arch: values.arch ?? null, step, blend: null },
    { of: hashFile },
  );
  for (const warning of model.files.warnings) console.error(`warning: ${warning}`);
  const source = await findTextSource(model.files, model.source?.path ?? null);
  const engine = await createEngine(values.engine, threads);
  try {
    if (prompt !== undefined) await writePrompts(engine, source, prompt, out, values);
    else await writeClasses(engine, source, model, classes!, out, values);
  } finally {
    await engine.dispose();
  }
}

async function writePrompts(
  engine: Engine,
  source: TextSource,
  prompts: readonly string[],
  out: string,
  { json }: Values,
): Promise<void> {
  const encoder = await PromptEncoder.open(engine, source);
  try {
    const { contextLength, dimension } = encoder;
    const rows = prompts.map(text => encoder.tokens(text));
    const tokens = BigInt64Array.from(
      rows.flatMap(row => [...row]),
      BigInt,
    );
    const text = await interruptible(options => encoder.embed(prompts, options));
    await writeSafetensors(out, {
      tokens: { shape: [rows.length, contextLength], dtype: 'int64', data: tokens },
      text: { shape: [rows.length, dimension], dtype: 'float32', data: text },
    });
    if (json) console.log(JSON.stringify({ out, prompts: rows.length, contextLength, dimension }));
    else console.log(`${counted(rows.length, 'prompt')} of ${dimension} channels: ${out}`);
  } finally {
    await encoder.dispose();
  }
}

async function writeClasses(
  engine: Engine,
  source: TextSource,
  model: FoundModel,
  list: string,
  out: string,
  values: Values,
): Promise<void> {
  const names = (await readClassList(list)).map(({ name }) => name);
  const prompts = values.prompts === undefined ? defaultPrompts : await readPrompts(values.prompts);
  const cache = values['no-cache'] ? null : await openTextCache();
  const hash = await model.identify();
  const embeddings = await interruptible(options =>
    embedClasses(engine, source, hash, names, prompts, { cache, ...options }),
  );
  await writeClassEmbeddings(out, embeddings);
  const { dimension } = embeddings;
  if (values.json)
    console.log(JSON.stringify({ out, classes: names.length, dimension, prompts: prompts.templates.length }));
  else
    console.log(
      `${names.length} classes of ${dimension} channels from ${counted(prompts.templates.length, 'prompt')} each: ${out}`,
    );
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
