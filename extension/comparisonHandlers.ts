import { stat } from 'node:fs/promises';
import type { ReadRun } from '../trainer/compare/comparedRun.ts';
import { latexTable } from '../trainer/compare/comparisonTables.ts';
import type { RunComparison } from '../trainer/compare/protocol.ts';
import {
  summaryFileOf,
  writeComparisonCsv,
  writeComparisonLatex,
} from '../trainer/compare/writeComparison.ts';
import type { FeaturesResult } from '../trainer/inspect/protocol.ts';
import { runFiles } from '../trainer/runs/runDirectory.ts';
import type {
  ComparedImage,
  ComparisonMethod,
  ComparisonRequestMessage,
  ComparisonRequests,
  KMeansColumn,
  KMeansQuery,
} from '../webview/comparison/protocol.ts';
import { readImageContent } from './inspectorImages.ts';
import { InspectorError } from './inspectorProblems.ts';
import type { InspectorService } from './inspectorService.ts';
import type { RequestWork } from './panelDocument.ts';

/** What comparison panels ask of VS Code. */
export interface ComparisonDialogues {
  /** Runs of the workspace that are not among those chosen already. */
  pickRuns(chosen: readonly string[]): Promise<string[] | null>;
  browseImage(): Promise<string | null>;
  /** Asks where to save; null when the user cancelled. */
  savePath(name: string, kind: 'csv' | 'tex' | 'png'): Promise<string | null>;
  write(file: string, bytes: ArrayBuffer): Promise<void>;
  copy(text: string): Promise<void>;
  openRun(directory: string): Promise<void>;
  /** Longest side of the image as the model sees it, pixels. */
  inspectorSize(): number;
}

export interface ComparisonHandlerSurroundings {
  service: Pick<InspectorService, 'request'>;
  dialogues: ComparisonDialogues;
  mayReadImage(file: string): boolean;
  isTrusted(): boolean;
  runs(): readonly ReadRun[];
  comparison(): RunComparison;
}

type Result = ComparisonRequests[ComparisonMethod]['result'];

/** Answers the requests of one comparison panel. */
export class ComparisonHandlers {
  readonly #surroundings: ComparisonHandlerSurroundings;

  constructor(surroundings: ComparisonHandlerSurroundings) {
    this.#surroundings = surroundings;
  }

  async answer(message: ComparisonRequestMessage, work: RequestWork): Promise<Result> {
    const { dialogues, comparison } = this.#surroundings;
    switch (message.method) {
      case 'pickRuns':
        return dialogues.pickRuns(message.query.chosen);
      case 'browseImage':
        return dialogues.browseImage();
      case 'image':
        return this.#image(message.query.path);
      case 'kMeans':
        return this.#kMeans(message.query, work);
      case 'saveCsv':
        return this.#saveCsv();
      case 'saveLatex':
        return this.#saveLatex();
      case 'copyLatex':
        await dialogues.copy(latexTable(comparison()));
        return null;
      case 'savePng': {
        const file = await dialogues.savePath('comparison.png', 'png');
        if (file !== null) await dialogues.write(file, message.query.bytes);
        return file;
      }
      case 'openRun':
        await dialogues.openRun(message.query.directory);
        return null;
    }
  }

  async #image(path: string): Promise<ComparedImage> {
    if (!this.#surroundings.mayReadImage(path)) {
      const problem = 'The image lies outside this workspace, which is in Restricted Mode.';
      return { path, type: null, bytes: null, problem };
    }
    const { type, bytes, problem } = await readImageContent(path);
    return { path, type, bytes, problem };
  }

  async #saveCsv(): Promise<string[] | null> {
    const file = await this.#surroundings.dialogues.savePath('comparison.csv', 'csv');
    if (file === null) return null;
    await writeComparisonCsv(file, this.#surroundings.runs(), this.#surroundings.comparison());
    return [file, summaryFileOf(file)];
  }

  async #saveLatex(): Promise<string | null> {
    const file = await this.#surroundings.dialogues.savePath('comparison.tex', 'tex');
    if (file !== null) await writeComparisonLatex(file, this.#surroundings.comparison());
    return file;
  }

  /** Maps come one after the other, clusters of all in one request: that gives like clusters like numbers. */
  async #kMeans({ image, k }: KMeansQuery, { signal, progress }: RequestWork): Promise<KMeansColumn[]> {
    const { service, isTrusted, runs } = this.#surroundings;
    if (!isTrusted()) {
      const advice = 'Run “Workspaces: Manage Workspace Trust”.';
      throw new InspectorError('trust', `K-Means runs a program and needs a trusted workspace. ${advice}`);
    }
    const compared = runs();
    const found: (FeaturesResult | string)[] = [];
    for (const [index, run] of compared.entries()) {
      const share = { of: compared.length + 1, done: index };
      found.push(await this.#features(run, image, { signal, progress: within(progress, share) }));
    }
    const maps = found.filter(map => typeof map !== 'string');
    const keys = [...new Set(maps.map(({ key }) => key))];
    const labels = new Map<string, number[]>();
    if (keys.length > 0) {
      const query = { keys, k, seed: 0, restarts: 3, smooth: true, reference: null };
      const tell = within(progress, { of: compared.length + 1, done: compared.length });
      const clusters = await service.request('kMeans', query, {
        signal,
        progress: ({ stage, fraction }) => tell(stage, fraction),
      });
      for (const map of clusters.maps) labels.set(map.key, map.labels);
    }
    return found.map((map, index) =>
      typeof map === 'string'
        ? { directory: compared[index]!.directory, map: null, problem: map }
        : columnOf(compared[index]!, map, labels.get(map.key) ?? []),
    );
  }

  /** The map of a run's student, or a sentence why there is none. */
  async #features(
    run: ReadRun,
    image: string,
    { signal, progress }: RequestWork,
  ): Promise<FeaturesResult | string> {
    if (run.problem !== null) return run.problem;
    const hasStudent = await stat(runFiles(run.directory).student).then(
      () => true,
      () => false,
    );
    if (!hasStudent) return 'There is no student yet: it is written after each epoch and at the end.';
    const model = { path: run.directory, arch: null, step: null, blend: null };
    const size = this.#surroundings.dialogues.inspectorSize();
    const params = { model, image, size, readOut: 'value', layer: null } as const;
    const options = {
      signal,
      progress: (told: { stage: string; fraction: number }) => progress(told.stage, told.fraction),
    };
    try {
      return await this.#surroundings.service.request('features', params, options);
    } catch (error) {
      if (signal.aborted || !(error instanceof InspectorError)) throw error;
      if (error.kind === 'cancelled') throw error;
      return error.message;
    }
  }
}

/** Progress of one part among several of a whole. */
const within =
  (progress: RequestWork['progress'], { of, done }: { of: number; done: number }): RequestWork['progress'] =>
  (stage, fraction) =>
    progress(stage, (done + (fraction ?? 0)) / of);

function columnOf({ directory }: ReadRun, map: FeaturesResult, labels: number[]): KMeansColumn {
  const { rows, columns, valid, imageWidth, imageHeight, patchSize, size } = map;
  const shown = { labels, rows, columns, valid, imageWidth, imageHeight, patchSize, size };
  return { directory, map: shown, problem: null };
}
