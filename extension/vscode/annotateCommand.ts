import path from 'node:path';
import * as vscode from 'vscode';
import {
  type AnnotationRequest,
  annotationArguments,
  annotationPath,
  parseAnnotationArguments,
} from '../annotationRequest.ts';
import { isInside } from '../candidates.ts';
import { commandTitles } from '../identifiers.ts';
import { runWizard, type StepOutcome, type StepPosition, type WizardStep } from '../wizard.ts';
import type { EvaluatePicksContext } from './evaluatePicks.ts';
import { runWithProgress } from './evaluationProgress.ts';
import { askForPath, browseItem, modelItems, type PathChoice, pathItem } from './fineTunePicks.ts';
import { folderItems } from './folderPicks.ts';
import type { ChoiceItem } from './quickPicks.ts';
import { workspaceFolders } from './settings.ts';
import { findClassLists } from './workspaceFiles.ts';

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
    const name = `Finding regions in ${path.basename(request.images)}`;
    const args = annotationArguments(request, out);
    if ((await runWithProgress(name, this.#script, args, 'The search for regions')) === 'stopped')
      return null;
    if (given === null) await vscode.commands.executeCommand('vscode.open', vscode.Uri.file(out));
    return out;
  }

  async #ask(named: boolean): Promise<AnnotationRequest | null> {
    const title = commandTitles[named ? 'clipself.pseudoLabel' : 'clipself.propose'];
    const { memory, demo, models } = this.#context;
    const question =
      (placeholder: string, items: () => Promise<ChoiceItem<PathChoice>[]>) =>
      async (position: StepPosition) =>
        askForPath({ title, placeholder, items: items(), position });
    const images = question('Which images?', () => folderItems('Folder of images'));
    const model = question('Which model names the regions? It needs a text tower', () =>
      modelItems(memory, demo, models),
    );
    const classes = question('Which nouns?', nounItems);
    const steps: WizardStep<Answers>[] = [async (_, position) => as('images', await images(position))];
    if (named)
      steps.push(
        async (_, position) => as('model', await model(position)),
        async (_, position) => as('classes', await classes(position)),
      );
    const answers = await runWizard(steps, {});
    if (!answers?.images) return null;
    if (!named) return { images: answers.images, naming: null };
    const naming = answers.model && answers.classes && { model: answers.model, classes: answers.classes };
    return naming ? { images: answers.images, naming } : null;
  }
}

interface Answers {
  images: string;
  model: string;
  classes: string;
}

function as(name: keyof Answers, outcome: StepOutcome<string>): StepOutcome<Partial<Answers>> {
  return outcome.kind === 'answered' ? { kind: 'answered', value: { [name]: outcome.value } } : outcome;
}

/** Lists of classes of the workspace, and the dialogue for another one. */
async function nounItems(): Promise<ChoiceItem<PathChoice>[]> {
  const found = await findClassLists();
  return [
    ...found.map(file => pathItem(file, 'list-unordered', 'in this workspace')),
    browseItem('Browse for a list…', {
      title: 'Nouns: a text file with one a line, a JSON list, or COCO categories',
      openLabel: 'Use These Nouns',
      canSelectFiles: true,
      filters: { Nouns: ['txt', 'json'] },
    }),
  ];
}
