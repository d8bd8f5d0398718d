import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { defaultModelsFolder } from '../checkpoints/modelsFolder.ts';
import { megabytes, type PublishedModel, publishedModels } from '../checkpoints/publishedModels.ts';
import type { DownloadOffer } from '../hub/downloadModel.ts';
import { DownloadCancelledError } from '../hub/hubError.ts';
import { formatDuration } from '../training/progress.ts';
import type { TransferProgress } from '../transferMeter.ts';
import { UsageError } from '../usageError.ts';
import { outputOptions } from './commonOptions.ts';

const help = `usage: clipself download NAME [--out DIR] [--yes] [--dry-run] [--json]
       clipself download --list [--json]

Fetches published weights from the Hugging Face hub into DIR/NAME, where --model finds them. Shows the licence and asks
before it begins. A download that broke off or was cancelled (Ctrl-C) goes on with the same command.

  --out DIR   folder of models; default ${defaultModelsFolder()}
  --yes       agree to the licence without being asked
  --dry-run   show what would be fetched, and fetch nothing
  --list      names, licences and sizes
  --json      the outcome as one JSON line on stdout, progress as JSON lines on stderr

HF_ENDPOINT names another hub, HF_TOKEN holds a token for models that ask for a login.`;

/** `clipself download`. */
export async function downloadCommand(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      yes: { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      ...outputOptions,
    },
  });
  if (values.help) console.log(help);
  else if (values.list) console.log(values.json ? JSON.stringify(publishedModels) : listed());
  else {
    const [name, ...others] = positionals;
    if (name === undefined || others.length > 0)
      throw new UsageError('download takes the name of one model (clipself download --list)');
    const model = publishedModels.find(candidate => candidate.name === name);
    if (!model)
      throw new UsageError(`there is no published model '${name}'; 'clipself download --list' lists them`);
    await fetchModel(model, values.out ?? defaultModelsFolder(), {
      agreed: values.yes,
      dryRun: values['dry-run'],
      json: values.json,
    });
  }
}

function listed(): string {
  const wide = Math.max(...publishedModels.map(({ name }) => name.length));
  const lines = publishedModels.map(
    ({ name, title, bytes, licence }) =>
      `${name.padEnd(wide)}  ${megabytes(bytes).padStart(8)}  ${title}: ${licence}`,
  );
  return lines.join('\n');
}

async function fetchModel(
  model: PublishedModel,
  folder: string,
  { agreed, dryRun, json }: { agreed: boolean; dryRun: boolean; json: boolean },
): Promise<void> {
  // Loaded when it is needed: --list and --help are instant.
  const { downloadModel, offerModel } = await import('../hub/downloadModel.ts');
  const controller = new AbortController();
  const cancel = (): void => controller.abort(new DownloadCancelledError('cancelled'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, cancel);
  const { signal } = controller;
  const line = new ProgressLine(json);
  try {
    const offer = await offerModel(model, folder, { signal });
    if (dryRun && json) console.log(JSON.stringify(described(offer)));
    if (!json) console.error(shown(offer));
    if (dryRun) return;
    if (!offer.present && !agreed && !(await agrees(signal))) {
      console.error('Nothing was fetched.');
      return;
    }
    const directory = await downloadModel(offer, {
      signal,
      progress: progress => line.show(progress),
      retrying: reason => line.say(`${reason}; trying again`),
    });
    line.end();
    if (json) console.log(JSON.stringify(described(offer)));
    else console.log(directory);
  } catch (error) {
    line.end();
    if (error instanceof DownloadCancelledError)
      throw new Error('cancelled: what was received is kept, and the same command goes on from there');
    throw error;
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, cancel);
  }
}

function described({ model, repository, file, directory, hubLicence, present, warnings }: DownloadOffer) {
  const { name, title, licence } = model;
  const source = { repository: repository.address, file: file.path, bytes: file.bytes, sha256: file.sha256 };
  return { name, title, licence, hubLicence, ...source, directory, present, warnings };
}

function shown(offer: DownloadOffer): string {
  const { title, licence, hubLicence, repository, file, bytes, directory, present, warnings } =
    described(offer);
  return [
    title,
    `  from     ${repository} (${file}, ${megabytes(bytes)})`,
    `  licence  ${licence}`,
    `           on the hub: ${hubLicence ?? 'not stated'}`,
    `  to       ${directory}${present ? ', where it is already' : ''}`,
    ...warnings.map(warning => `  warning  ${warning}`),
  ].join('\n');
}

async function agrees(signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new UsageError('nobody is there to agree to the licence: read it above and add --yes');
  const dialogue = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // In a dialogue Ctrl-C is a key, not a signal.
    dialogue.on('SIGINT', () => process.emit('SIGINT'));
    return /^y(es)?$/i.test((await dialogue.question('Agree and download? [y/N] ', { signal })).trim());
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    dialogue.close();
  }
}

/** Progress on stderr: one line that changes on a terminal, a line every ten seconds elsewhere, JSON lines for programs. */
class ProgressLine {
  readonly #json: boolean;
  readonly #terminal = process.stderr.isTTY === true;
  #open = false;
  #last = Number.NEGATIVE_INFINITY;

  constructor(json: boolean) {
    this.#json = json;
  }

  show(progress: TransferProgress): void {
    if (this.#json) {
      console.error(JSON.stringify(progress));
      return;
    }
    const text = progressText(progress);
    if (this.#terminal) {
      process.stderr.write(`\r${text}\u001b[K`);
      this.#open = true;
    } else if (performance.now() - this.#last > 10_000 || progress.received === progress.total) {
      this.#last = performance.now();
      console.error(text);
    }
  }

  say(text: string): void {
    this.end();
    console.error(this.#json ? JSON.stringify({ retrying: text }) : text);
  }

  end(): void {
    if (this.#open) process.stderr.write('\n');
    this.#open = false;
  }
}

/** `120 MB of 599 MB  12.3 MB/s  0:39 left` */
function progressText({ received, total, bytesPerSecond, remainingSeconds }: TransferProgress): string {
  const speed = `${(bytesPerSecond / 1e6).toFixed(1)} MB/s`;
  return `${megabytes(received)} of ${megabytes(total)}  ${speed}  ${formatDuration(remainingSeconds)} left`;
}
