#!/usr/bin/env node
import { ToldElsewhere } from './distributed/inWorld.ts';
import { SettingError } from './training/settings.ts';
import { errorLine, UsageError } from './usageError.ts';
import { version } from './version.ts';

interface Command {
  /** What the list of commands says; null for those that only the extension calls. */
  summary: string | null;
  /** Loaded when it is the one asked for, so that `--help` is instant. */
  load: () => Promise<(args: string[]) => Promise<void>>;
}

const commands: Readonly<Record<string, Command>> = {
  train: {
    summary: 'fine-tune a CLIP vision transformer with CLIPSelf, or resume a run',
    load: async () => (await import('./commands/train.ts')).trainCommand,
  },
  slurm: {
    summary: 'fine-tune as a job of a Slurm cluster: writes the batch script, and hands it in',
    load: async () => (await import('./commands/slurm.ts')).slurmCommand,
  },
  features: {
    summary: 'dense features and embedding of an image as a safetensors file',
    load: async () => (await import('./commands/features.ts')).featuresCommand,
  },
  regions: {
    summary: 'pooled dense features and crop embeddings of boxes',
    load: async () => (await import('./commands/regions.ts')).regionsCommand,
  },
  text: {
    summary: 'embeddings of prompts, or of the classes of a list',
    load: async () => (await import('./commands/text.ts')).textCommand,
  },
  kmeans: {
    summary: 'K-Means clusters of dense features, drawn over the image',
    load: async () => (await import('./commands/kmeans.ts')).kMeansCommand,
  },
  pca: {
    summary: 'principal components of dense features, drawn over the image',
    load: async () => (await import('./commands/pca.ts')).pcaCommand,
  },
  similarity: {
    summary: 'cosine of every patch with one patch or box, drawn over the image',
    load: async () => (await import('./commands/similarity.ts')).similarityCommand,
  },
  words: {
    summary: 'every patch named by words: segmentation, or the map of one word',
    load: async () => (await import('./commands/words.ts')).wordsCommand,
  },
  evaluate: {
    summary: 'region classification: how well dense features, masks and crops are named by words',
    load: async () => (await import('./commands/evaluate.ts')).evaluateCommand,
  },
  segment: {
    summary: 'open-vocabulary segmentation of labelled images: mean IoU, before against after',
    load: async () => (await import('./commands/segment.ts')).segmentCommand,
  },
  norms: {
    summary: 'norms of the tokens, drawn over the image',
    load: async () => (await import('./commands/tokenMaps.ts')).normsCommand,
  },
  attention: {
    summary: 'attention of the class token or of a patch, drawn over the image',
    load: async () => (await import('./commands/tokenMaps.ts')).attentionCommand,
  },
  describe: {
    summary: 'architecture, parameters and origin of a model',
    load: async () => (await import('./commands/describe.ts')).describeCommand,
  },
  export: {
    summary: 'a model as .safetensors, as an OpenCLIP .pt file or as ONNX',
    load: async () => (await import('./commands/export.ts')).exportCommand,
  },
  download: {
    summary: 'published weights from the Hugging Face hub',
    load: async () => (await import('./commands/download.ts')).downloadCommand,
  },
  pretrain: {
    summary: 'train a tiny CLIP from scratch on Emoji World (in a clone)',
    load: async () => (await import('./commands/pretrain.ts')).pretrainCommand,
  },
  shard: {
    summary: 'images packed into tar shards, for training from a network file system',
    load: async () => (await import('./commands/shard.ts')).shardCommand,
  },
  'zero-shot': {
    summary: "accuracy of a CLIP on crops of Emoji World's things, by drawing style (in a clone)",
    load: async () => (await import('./commands/zeroShot.ts')).zeroShotCommand,
  },
  world: {
    summary: 'render Emoji World, a labelled data set of scenes (in a clone)',
    load: async () => (await import('./commands/world.ts')).worldCommand,
  },
  'blend-sweep': {
    summary: 'accuracy of a trained run at several shares of the student, without training again',
    load: async () => (await import('./commands/blendSweep.ts')).blendSweepCommand,
  },
  compare: {
    summary: 'up to six runs side by side: settings that differ, the twelve numbers; CSV and LaTeX',
    load: async () => (await import('./commands/compare.ts')).compareCommand,
  },
  propose: {
    summary: 'regions of images without labels, to train on instead of grid patches',
    load: async () => (await import('./commands/propose.ts')).proposeCommand,
  },
  'pseudo-label': {
    summary: 'region–noun pairs without annotators: regions named by their crops',
    load: async () => (await import('./commands/pseudoLabel.ts')).pseudoLabelCommand,
  },
  doctor: {
    summary: 'which engines work here, and why the others do not',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
  'setup-tensorflow': {
    summary: 'install TensorFlow for --engine tensorflow, on NVIDIA cards by CUDA',
    load: async () => (await import('./commands/setupTensorflow.ts')).setupTensorflowCommand,
  },
  'inspect-service': {
    summary: null,
    load: async () => (await import('./commands/inspectService.ts')).inspectServiceCommand,
  },
};

/** Concerns the one engine that every command may be given. */
const tf32Option = '--tensorflow-tf32';

const usage = (): string =>
  [
    'usage: clipself <command> [options]',
    '',
    ...Object.entries(commands)
      .filter(([, { summary }]) => summary !== null)
      .map(([name, { summary }]) => `  ${name.padEnd(16)} ${summary}`),
    '',
    'clipself <command> --help describes the options of a command. All take --tensorflow-tf32: products of',
    'TensorFlow on NVIDIA cards round their operands to TensorFloat-32, which is faster and less exact.',
  ].join('\n');

async function main(args: string[]): Promise<void> {
  const [name, ...rest] = args;
  if (name === '--version') {
    console.log(version);
    return;
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    console.log(usage());
    return;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new UsageError(`there is no command '${name}'; 'clipself --help' lists them`);
  const options = rest.filter(option => option !== tf32Option);
  if (options.length < rest.length) process.env.CLIPSELF_TENSORFLOW_TF32 = '1';
  await (await command.load())(options);
}

/** parseArgs marks its own errors with codes of this form. */
const isUsageError = (error: unknown): boolean =>
  error instanceof UsageError ||
  error instanceof SettingError ||
  (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));

// Whoever listened may be gone (a closed terminal, an ended parent): that does not end a run.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof ToldElsewhere)) console.error(`clipself: ${errorLine(error)}`);
  process.exitCode = isUsageError(error) ? 2 : 1;
}
