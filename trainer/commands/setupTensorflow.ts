import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { ChoiceMemory } from '../engineChoice/choiceMemory.ts';
import { describeInstallation, installationFolder } from '../engines/tensorflow/installation.ts';
import type { SetupOutcome, SetupProgress, SetupStage } from '../engines/tensorflow/setup/setUp.ts';
import { gigabytes, type LibraryKind, setupSizes } from '../engines/tensorflow/setup/sizes.ts';
import { formatDuration } from '../training/progress.ts';
import { UsageError } from '../usageError.ts';
import { outputOptions } from './commonOptions.ts';

const help = `usage: clipself setup-tensorflow [--cuda | --cpu | --remove] [--out DIR] [--yes] [--json]

Installs TensorFlow for --engine tensorflow into DIR: the libraries of its newest Python wheel, for CUDA with those of NVIDIA,
and the npm package tfjs-node, whose addon is compiled against them. Needs npm, Python with pip and a C++ compiler on Linux;
elsewhere the old libraries of tfjs-node take their place (TensorFlow 2.9.1, CUDA 11.2). Asks before it begins.

  --cuda      for NVIDIA cards: about 3.4 GB to download, 6 GB on the disk; the default where a card's driver is found
  --cpu       for the processor: about 0.35 GB to download, 1.3 GB on the disk
  --out DIR   default ${installationFolder()}; others are found through the variable CLIPSELF_TENSORFLOW
  --remove    removes an installation from DIR instead
  --yes       begin without being asked
  --json      the outcome as one JSON line on stdout, progress as JSON lines on stderr`;

/** `clipself setup-tensorflow`. */
export async function setupTensorflowCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      cuda: { type: 'boolean', default: false },
      cpu: { type: 'boolean', default: false },
      remove: { type: 'boolean', default: false },
      out: { type: 'string' },
      yes: { type: 'boolean', default: false },
      ...outputOptions,
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  if ([values.cuda, values.cpu, values.remove].filter(Boolean).length > 1)
    throw new UsageError('--cuda, --cpu and --remove exclude each other');
  const folder = path.resolve(values.out ?? installationFolder());
  if (values.remove) return remove(folder, values.json);
  const cuda = values.cuda || (!values.cpu && hasCudaDriver());
  await install(folder, cuda ? 'cuda' : 'cpu', values);
}

/** Whether a driver of NVIDIA is loaded. */
const hasCudaDriver = (): boolean =>
  existsSync('/proc/driver/nvidia/version') ||
  existsSync(path.join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', 'nvcuda.dll'));

async function install(
  folder: string,
  libraries: LibraryKind,
  { yes, json }: { yes: boolean; json: boolean },
): Promise<void> {
  // Loaded when it is needed: --help is instant.
  const { setUpTensorflow } = await import('../engines/tensorflow/setup/setUp.ts');
  const controller = new AbortController();
  const cancel = (): void => controller.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, cancel);
  try {
    if (!yes && !(await agrees(question(folder, libraries), controller.signal))) {
      console.error('Nothing was installed.');
      return;
    }
    const reporter = new SetupReporter(json);
    const outcome = await setUpTensorflow({
      folder,
      libraries,
      signal: controller.signal,
      progress: progress => reporter.show(progress),
      fallingBack: reason => reporter.fallingBack(reason),
    }).finally(() => reporter.end());
    await measureAgain();
    console.log(json ? JSON.stringify(outcome) : summary(outcome));
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, cancel);
  }
}

async function remove(folder: string, json: boolean): Promise<void> {
  const { removeTensorflow } = await import('../engines/tensorflow/setup/remove.ts');
  await removeTensorflow(folder);
  await measureAgain();
  console.log(json ? JSON.stringify({ removed: folder }) : `Removed ${folder}`);
}

/** What `auto` remembers was measured with other engines. A cache that cannot be written is lost anyway. */
const measureAgain = (): Promise<void> => new ChoiceMemory().forget().catch(() => undefined);

function question(folder: string, libraries: LibraryKind): string {
  const { download, disk } = setupSizes[libraries];
  const where = libraries === 'cuda' ? 'NVIDIA cards (CUDA)' : 'the processor';
  return `TensorFlow for ${where}: downloads about ${gigabytes(download)} and takes ${gigabytes(disk)} in ${folder}.`;
}

async function agrees(text: string, signal: AbortSignal): Promise<boolean> {
  console.error(text);
  if (!process.stdin.isTTY) throw new UsageError('nobody is there to agree: add --yes');
  const dialogue = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // In a dialogue Ctrl-C is a key, not a signal.
    dialogue.on('SIGINT', () => process.emit('SIGINT'));
    return /^y(es)?$/i.test((await dialogue.question('Install? [y/N] ', { signal })).trim());
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  } finally {
    dialogue.close();
  }
}

function summary(outcome: SetupOutcome): string {
  const lines = [`${describeInstallation(outcome)}, in ${outcome.folder}`];
  if (outcome.cuda !== null && !outcome.gpu)
    lines.push(`TensorFlow computes on the processor here: ${outcome.noCard}.`);
  if (outcome.source === 'stock')
    lines.push('These are the old libraries of tfjs-node; cards newer than 2021 do not work with them.');
  return lines.join('\n');
}

const stageNames: Readonly<Record<SetupStage, string>> = {
  libraries: 'Downloading and unpacking TensorFlow',
  packages: 'Installing tfjs-node from npm',
  addon: 'Compiling the addon',
  stock: 'Installing tfjs-node with its own libraries',
  check: 'Trying what was installed',
};

/** Progress on stderr: a line for each stage, one that changes on a terminal, JSON lines for programs. */
class SetupReporter {
  readonly #json: boolean;
  readonly #terminal = process.stderr.isTTY === true;
  #stage: SetupStage | null = null;

  constructor(json: boolean) {
    this.#json = json;
  }

  show(progress: SetupProgress): void {
    const text = stageNames[progress.stage];
    if (this.#json) {
      console.error(JSON.stringify({ ...progress, text }));
      return;
    }
    if (progress.stage !== this.#stage) {
      this.end();
      this.#stage = progress.stage;
      console.error(text);
    }
    const { received, total, remainingSeconds } = progress;
    if (!this.#terminal || received === undefined || total === undefined) return;
    const left = remainingSeconds ? `  ${formatDuration(remainingSeconds)} left` : '';
    process.stderr.write(`\r  ${gigabytes(received)} of about ${gigabytes(total)}${left}\u001b[K`);
  }

  fallingBack(reason: string): void {
    this.end();
    console.error(
      this.#json
        ? JSON.stringify({ fallingBack: reason })
        : `${reason}. Trying the old libraries of tfjs-node instead.`,
    );
  }

  end(): void {
    if (this.#stage !== null && this.#terminal && !this.#json) process.stderr.write('\n');
    this.#stage = null;
  }
}
