import path from 'node:path';
import * as vscode from 'vscode';
import { type LabelFormat, labelFormats } from '../../trainer/segment/protocol.ts';
import {
  needsClasses,
  parseSegmentArguments,
  type SegmentArguments,
  type SegmentChoice,
  segmentationReportPath,
  segmentCommandLine,
} from '../segmentation.ts';
import { runWizard, type StepOutcome, type WizardStep } from '../wizard.ts';
import { type EvaluatePicksContext, runItems } from './evaluatePicks.ts';
import { runWithProgress } from './evaluationProgress.ts';
import { askForPath, browseItem, modelItems, pathItem } from './fineTunePicks.ts';
import { folderItems } from './folderPicks.ts';
import { ask, type ChoiceItem, heading } from './quickPicks.ts';
import { engineSetting, evaluationsFolder } from './settings.ts';
import { findPanopticAnnotations } from './workspaceFiles.ts';

const title = 'Evaluate Segmentation';

const formatItems: Readonly<Record<LabelFormat, Omit<ChoiceItem<LabelFormat>, 'choice'>>> = {
  panoptic: { label: 'COCO panoptic', detail: 'Annotations (JSON) with a folder of PNG files beside them' },
  ade20k: { label: 'ADE20K', detail: 'PNG files: 0 is left out, n is the nth class of a list' },
  voc: { label: 'PASCAL VOC', detail: 'PNG files with a palette: 255 is left out, 0 is the background' },
};

/** The command **Evaluate Segmentation**. */
export class SegmentCommand {
  readonly #context: EvaluatePicksContext;
  readonly #script: string;

  /** @param extensionFolder Where the extension is installed. */
  constructor(context: EvaluatePicksContext, extensionFolder: string) {
    this.#context = context;
    this.#script = path.join(extensionFolder, 'dist', 'trainer', 'cli.js');
  }

  /**
   * Asks for what the argument leaves open, segments in a process of its own and opens the report.
   *
   * @returns The path of the report; null when the user cancelled.
   */
  async segment(argument: unknown): Promise<string | null> {
    if (!vscode.workspace.isTrusted)
      throw new Error('Segmenting needs a trusted workspace: run “Workspaces: Manage Workspace Trust”.');
    const given = parseSegmentArguments(argument);
    const choice = await askForSegmentation(given, this.#context);
    if (!choice) return null;
    const report = segmentationReportPath(evaluationsFolder(), choice);
    const name = `Segmenting with ${path.basename(choice.model)}`;
    if (
      (await runWithProgress(name, this.#script, [
        ...segmentCommandLine(choice, report),
        '--engine',
        engineSetting(),
      ])) === 'stopped'
    )
      return null;
    if (given.open !== false)
      await vscode.commands.executeCommand('clipself.openEvaluation', vscode.Uri.file(report));
    return report;
  }
}

async function askForSegmentation(
  given: SegmentArguments,
  context: EvaluatePicksContext,
): Promise<SegmentChoice | null> {
  const { memory, demo, models, registry } = context;
  const steps: WizardStep<SegmentChoice>[] = [];
  if (given.model === undefined)
    steps.push(async (_, position) => {
      const items = modelItems(memory, demo, models).then(found => [...runItems(registry), ...found]);
      const placeholder = 'Which model? Of a run, its original is compared with its student';
      return named('model', await askForPath({ title, placeholder, items, position }));
    });
  if (given.format === undefined)
    steps.push(async (_, position) => {
      const items = labelFormats.map(choice => ({ ...formatItems[choice], choice }));
      return named(
        'format',
        await ask({ title, placeholder: 'How are the labels stored?', items, position }),
      );
    });
  if (given.labels === undefined)
    steps.push(async ({ format }, position) => {
      const placeholder = format === 'panoptic' ? 'Which annotations?' : 'Which folder of label images?';
      return named('labels', await askForPath({ title, placeholder, items: labelItems(format), position }));
    });
  if (given.images === undefined)
    steps.push(async (_, position) => {
      const items = folderItems('Folder of the images');
      return named(
        'images',
        await askForPath({ title, placeholder: 'Where are the images?', items, position }),
      );
    });
  // The last question, since not every format asks it.
  if (given.classes === undefined)
    steps.push(async ({ format }, position) => {
      if (!needsClasses(format)) return { kind: 'answered', value: { classes: null } };
      const items = [browseItem('Browse for the list…', classDialogue)];
      const placeholder = 'Which list names the classes, in order?';
      return named(
        'classes',
        await askForPath({ title, placeholder, items: Promise.resolve(items), position }),
      );
    });
  const answers = await runWizard(steps, given);
  if (!answers) return null;
  const { model, before = null, format, labels, images, classes = null, size = null } = answers;
  return model && format && labels && images
    ? { model, before, format, labels, images, classes, size }
    : null;
}

const classDialogue: vscode.OpenDialogOptions = {
  title: 'Names of the classes: one a line, or JSON',
  openLabel: 'Use These Classes',
  canSelectFiles: true,
  filters: { 'Class lists': ['txt', 'json'] },
};

async function labelItems(format: LabelFormat | undefined) {
  if (format !== 'panoptic') return folderItems('Folder of the label images');
  const found = await findPanopticAnnotations();
  return [
    ...found.map(file => pathItem(file, 'json', 'in this workspace')),
    heading<never>('elsewhere'),
    browseItem('Browse for annotations…', {
      title: 'COCO panoptic annotations',
      openLabel: 'Segment These',
      canSelectFiles: true,
      filters: { 'COCO annotations': ['json'] },
    }),
  ];
}

function named<Name extends keyof SegmentChoice>(
  name: Name,
  outcome: StepOutcome<SegmentChoice[Name]>,
): StepOutcome<Partial<SegmentChoice>> {
  return outcome.kind === 'answered' ? { kind: 'answered', value: { [name]: outcome.value } } : outcome;
}
