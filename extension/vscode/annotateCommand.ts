import path from 'node:path';
import * as vscode from 'vscode';
import {
  type AnnotationRequest,
  annotationArguments,
  annotationPath,
  parseAnnotationArguments,
} from '../annotationRequest.ts';
import { isInside } from '../candidates.ts';
import { runEvaluation } from '../evaluationProcess.ts';
import { commandTitles } from '../identifiers.ts';
import type { EvaluatePicksContext } from './evaluatePicks.ts';
import { askForPath, modelItems } from './fineTunePicks.ts';
import { browse } from './quickPicks.ts';
import { workspaceFolders } from './settings.ts';

/** The commands **Propose Regions** and **Name Regions by Words**: `clipself propose` and `pseudo-label`. */
export class AnnotateCommand {
  readonly #context: EvaluatePicksContext;
  readonly #script: string;

  /** @param extensionFolder Where the extension is installed. */
  constructor(context: EvaluatePicksContext, extensionFolder: string) {
    this.#context = context;
    this.#script = path.join(extensionFolder, 'dist', 'trainer', 'cli.js');
  }

  /**
   * Asks for what the argument leaves open, works in a process of its own and opens the annotations. Cancelled, it goes
   * on from there the next time.
   *
   * @returns The path of the annotations; null when the user cancelled.
   */
  async annotate(argument: unknown, named: boolean): Promise<string | null> {
    if (!vscode.workspace.isTrusted)
      throw new Error('This needs a trusted workspace: run “Workspaces: Manage Workspace Trust”.');
    const given = parseAnnotationArguments(argument, named);
    const request = given ?? (await this.#ask(named));
    if (request === null) return null;
    const roots = workspaceFolders();
    const root = roots.find(folder => isInside(request.images, folder)) ?? path.dirname(request.images);
    const out = annotationPath(path.join(root, 'regions'), request);
    if ((await this.#run(request, out)) === 'stopped') return null;
    if (given === null) await vscode.commands.executeCommand('vscode.open', vscode.Uri.file(out));
    return out;
  }

  async #ask(named: boolean): Promise<AnnotationRequest | null> {
    const images = await browse({
      title: 'Folder of images',
      openLabel: 'Find Regions in These',
      canSelectFiles: false,
      canSelectFolders: true,
    });
    if (images === null || !named) return images === null ? null : { images, naming: null };
    const { memory, demo, models } = this.#context;
    const model = await askForPath({
      title: commandTitles['clipself.pseudoLabel'],
      placeholder: 'Which model names the regions? It needs a text tower',
      items: modelItems(memory, demo, models),
    });
    if (model.kind !== 'answered') return null;
    const classes = await browse({
      title: 'Nouns: a text file with one a line, a JSON list, or COCO categories',
      openLabel: 'Use These Nouns',
      filters: { Nouns: ['txt', 'json'] },
    });
    return classes === null ? null : { images, naming: { model: model.value, classes } };
  }

  #run(request: AnnotationRequest, out: string): Thenable<'finished' | 'stopped'> {
    const title = `Finding regions in ${path.basename(request.images)}`;
    const options = { location: vscode.ProgressLocation.Notification, cancellable: true, title };
    return vscode.window.withProgress(options, (progress, token) => {
      const controller = new AbortController();
      token.onCancellationRequested(() => controller.abort());
      let shown = 0;
      const launch = {
        what: 'The search for regions',
        executable: process.execPath,
        script: this.#script,
        args: annotationArguments(request, out),
      };
      return runEvaluation(launch, controller.signal, ({ percent, message }) => {
        const increment = Math.max(0, (percent ?? shown) - shown);
        shown += increment;
        const said = controller.signal.aborted ? 'stopping after this image' : message;
        progress.report({ message: said, increment });
      });
    });
  }
}
