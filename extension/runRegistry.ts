import type { RunSummary } from '../trainer/protocol.ts';
import { runFiles } from '../trainer/runs/runDirectory.ts';
import { findRuns } from '../trainer/runs/runSummary.ts';
import { type Disposable, Emitter } from './emitter.ts';
import { fileSignature } from './fileSignature.ts';
import { FolderWatch } from './folderWatch.ts';
import { RunFollower } from './runFollower.ts';
import { stageOf } from './runPresentation.ts';
import { SerialTask } from './serialTask.ts';

/** A run went from one state to another while it was watched. */
export interface RunTransition {
  before: RunSummary;
  after: RunSummary;
}

interface KnownRun {
  summary: RunSummary;
  /** What the directory's files looked like when the summary was made. */
  signature: string;
  /** Kept while the run lives, so that each record is read once. */
  follower: RunFollower | null;
}

/** Milliseconds between two searches for runs, and between two looks at the live ones. */
const SEARCH_INTERVAL = 5000;
const LIVE_INTERVAL = 1000;

/**
 * The runs of this workspace, found by their directories: those in the runs folders and those registered one by one.
 * Whoever started them and wherever they train, what is shown comes from the directories.
 */
export class RunRegistry implements Disposable {
  readonly #changes = new Emitter<readonly RunSummary[]>();
  readonly #transitions = new Emitter<RunTransition>();
  readonly #known = new Map<string, KnownRun>();
  readonly #registered = new Set<string>();
  readonly #pass = new SerialTask(() => this.#passOnce());
  readonly #liveLook: NodeJS.Timeout;
  #folders: string[] = [];
  /** Runs that the last search of the folders found, and whether another is due. */
  #found: string[] = [];
  #searchDue = true;
  #watches: FolderWatch[] = [];
  #disposed = false;

  /** All runs, live ones first, then the latest first. */
  readonly onDidChange = this.#changes.event;
  readonly onDidTransition = this.#transitions.event;

  constructor() {
    this.#liveLook = setInterval(() => {
      if (this.live.length > 0) void this.#pass.run();
    }, LIVE_INTERVAL);
    this.#liveLook.unref();
  }

  get runs(): readonly RunSummary[] {
    return sortRuns([...this.#known.values()].map(run => run.summary));
  }

  get live(): readonly RunSummary[] {
    return this.runs.filter(run => stageOf(run.state) === 'live');
  }

  get(directory: string): RunSummary | undefined {
    return this.#known.get(directory)?.summary;
  }

  /** Replaces the folders in which runs are looked for. */
  watch(folders: string[]): void {
    for (const watch of this.#watches) watch.dispose();
    this.#folders = [...new Set(folders)];
    this.#watches = this.#folders.map(
      folder => new FolderWatch(folder, SEARCH_INTERVAL, () => void this.refresh()),
    );
    void this.refresh();
  }

  /** Adds a run that may lie outside the runs folders. */
  async register(directory: string): Promise<RunSummary | undefined> {
    this.#registered.add(directory);
    await this.refresh();
    return this.get(directory);
  }

  /** Looks at everything again; resolves when a look that began after the call is done. */
  refresh(): Promise<void> {
    this.#searchDue = true;
    return this.#disposed ? Promise.resolve() : this.#pass.run();
  }

  async #passOnce(): Promise<void> {
    if (this.#searchDue) await this.#searchFolders();
    const directories = new Set([...this.#found, ...this.#registered]);
    const before = JSON.stringify(this.runs);
    const transitions: RunTransition[] = [];
    for (const directory of this.#known.keys()) {
      if (!directories.has(directory)) this.#known.delete(directory);
    }
    for (const directory of directories) {
      const transition = await this.#look(directory);
      if (transition !== null) transitions.push(transition);
    }
    if (this.#disposed) return;
    if (JSON.stringify(this.runs) !== before) this.#changes.fire(this.runs);
    for (const transition of transitions) this.#transitions.fire(transition);
  }

  async #searchFolders(): Promise<void> {
    this.#searchDue = false;
    // A folder that is not there (yet) has no runs.
    const found = await Promise.all(this.#folders.map(folder => findRuns(folder).catch(() => [])));
    this.#found = found.flat();
  }

  /** Brings one run up to date; a directory that is no run is forgotten until it is one. */
  async #look(directory: string): Promise<RunTransition | null> {
    const known = this.#known.get(directory);
    const signature = await signatureOf(directory);
    const settled = known !== undefined && stageOf(known.summary.state) !== 'live';
    if (settled && known.signature === signature) return null;
    const follower = known?.follower ?? new RunFollower(directory);
    try {
      const { summary } = await follower.update();
      const live = stageOf(summary.state) === 'live';
      this.#known.set(directory, { summary, signature, follower: live ? follower : null });
      const changed = known !== undefined && known.summary.state !== summary.state;
      return changed ? { before: known.summary, after: summary } : null;
    } catch {
      this.#known.delete(directory);
      return null;
    }
  }

  dispose(): void {
    this.#disposed = true;
    clearInterval(this.#liveLook);
    for (const watch of this.#watches) watch.dispose();
    this.#changes.dispose();
    this.#transitions.dispose();
  }
}

/** Sizes and times of the files that tell a run's state. */
async function signatureOf(directory: string): Promise<string> {
  const { configuration, metrics, lease } = runFiles(directory);
  const parts = await Promise.all([configuration, metrics, lease].map(fileSignature));
  return parts.join(' ');
}

/** Live runs first, then the latest first. */
export function sortRuns(runs: RunSummary[]): RunSummary[] {
  const rank = (run: RunSummary) => (stageOf(run.state) === 'live' ? 0 : 1);
  return runs.sort(
    (a, b) => rank(a) - rank(b) || b.updated - a.updated || a.directory.localeCompare(b.directory),
  );
}
