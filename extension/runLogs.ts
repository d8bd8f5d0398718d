import path from 'node:path';
import type { RunSummary } from '../trainer/protocol.ts';
import { runFiles } from '../trainer/runs/runDirectory.ts';
import { inEditorTerms, termsOfRun } from './editorTerms.ts';
import type { Disposable } from './emitter.ts';
import { FolderWatch } from './folderWatch.ts';
import { type LogLevel, LogTail, levelOfLine, messageOfLine } from './logLines.ts';
import { SerialTask } from './serialTask.ts';

/** Lines shown of what a trainer wrote before its log was followed. */
const BACKLOG_LINES = 500;
const POLL_INTERVAL = 1000;

/** Passes the lines of live trainers' logs on, each under its run's name and in the terms of VS Code. */
export class RunLogs implements Disposable {
  readonly #write: (level: LogLevel, line: string) => void;
  /** One reader for each run ever looked at, so that no line is shown twice. */
  readonly #readers = new Map<string, SerialTask>();
  readonly #watches = new Map<string, FolderWatch>();

  constructor(write: (level: LogLevel, line: string) => void) {
    this.#write = write;
  }

  /** Follows the logs of these runs and of no others. */
  follow(live: readonly RunSummary[]): void {
    const directories = new Set(live.map(run => run.directory));
    for (const [directory, watch] of this.#watches) {
      if (directories.has(directory)) continue;
      this.#watches.delete(directory);
      watch.dispose();
      void this.catchUp(directory);
    }
    for (const directory of directories) {
      if (this.#watches.has(directory)) continue;
      const notify = () => void this.catchUp(directory);
      this.#watches.set(directory, new FolderWatch(directory, POLL_INTERVAL, notify));
      notify();
    }
  }

  /** Brings the log of any run up to date, also of one that ended long ago. */
  catchUp(directory: string): Promise<void> {
    const reader = this.#readers.get(directory) ?? this.#createReader(directory);
    this.#readers.set(directory, reader);
    return reader.run();
  }

  #createReader(directory: string): SerialTask {
    const tail = new LogTail(runFiles(directory).log, BACKLOG_LINES);
    const name = path.basename(directory);
    return new SerialTask(async () => {
      const lines = await tail.readNewLines().catch(() => []);
      if (lines.length === 0) return;
      const terms = await termsOfRun(directory);
      for (const line of lines)
        this.#write(levelOfLine(line), `[${name}] ${inEditorTerms(messageOfLine(line), terms)}`);
    });
  }

  dispose(): void {
    for (const watch of this.#watches.values()) watch.dispose();
    this.#watches.clear();
  }
}
