import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Which blocks of `torch_step.py` do the arithmetic of an architecture. */
const blockOf: Readonly<Record<string, string>> = {
  'ViT-B-16': 'gelu',
  'ViT-B-16-quickgelu': 'quickGelu',
  'EVA02-CLIP-B-16': 'eva02',
};

export interface PeerTask {
  task: string;
  arch: string;
  size: number;
  crops: number;
  threads: number;
  /** Where PyTorch computes. */
  peer_device: 'cpu' | 'cuda';
  /** Whether a card may round the inputs of products to TF32. */
  peer_tf32: boolean;
}

/** What PyTorch says of itself when it is done; of a card its name and most memory. */
export interface PeerReport {
  torch: string;
  peak_rss_gib: number;
  device?: string;
  tf32?: boolean;
  peak_device_gib?: number;
}

/** PyTorch doing the same task in a process of its own, one run whenever it is asked for one. */
export class TorchPeer {
  readonly #child: ReturnType<typeof spawn>;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  private constructor(child: ReturnType<typeof spawn>) {
    this.#child = child;
    this.#reader = createInterface({ input: child.stdout! });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** @returns null where the interpreter has no PyTorch, or the peer does not know the architecture. */
  static async start(
    python: string,
    { task, arch, size, crops, threads, peer_device, peer_tf32 }: PeerTask,
  ): Promise<TorchPeer | null> {
    const block = blockOf[arch];
    if (block === undefined) return null;
    const script = fileURLToPath(new URL('./torch_step.py', import.meta.url));
    const numbers = Object.entries({ size, crops, threads }).flatMap(([name, value]) => [
      `--${name}`,
      String(value),
    ]);
    const where = ['--device', peer_device, ...(peer_tf32 ? ['--tf32'] : [])];
    const child = spawn(
      python,
      [script, task, '--block', block, '--on-request', '--runs', '1000', ...where, ...numbers],
      { stdio: ['pipe', 'pipe', 'ignore'] },
    );
    child.on('error', () => undefined);
    child.stdin!.on('error', () => undefined);
    const peer = new TorchPeer(child);
    if ((await peer.#line()) === 'ready') return peer;
    child.kill();
    return null;
  }

  /** Seconds of one run. */
  async run(): Promise<number> {
    this.#child.stdin!.write('\n');
    const seconds = Number(await this.#line());
    if (!(seconds > 0)) throw new Error('PyTorch ended before it was done');
    return seconds;
  }

  /** Ends the process. */
  async finish(): Promise<PeerReport> {
    this.#child.stdin!.end();
    const report = JSON.parse((await this.#line()) ?? '') as PeerReport;
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    this.#reader.close();
    return report;
  }

  async #line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next();
    return done ? undefined : value;
  }
}
