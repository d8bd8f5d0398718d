import { stat } from 'node:fs/promises';
import type * as vscode from 'vscode';
import type { DemoAssets } from '../demoAssets.ts';
import { type EvaluateArguments, type EvaluationChoice, likelyFolders } from '../regionEvaluation.ts';
import type { RunRegistry } from '../runRegistry.ts';
import { runWizard, type StepOutcome, type WizardStep } from '../wizard.ts';
import {
  askForPath,
  browseItem,
  type ModelSupply,
  modelItems,
  type PathChoice,
  pathItem,
} from './fineTunePicks.ts';
import type { WorkspaceMemory } from './memento.ts';
import { ask, browse, type ChoiceItem, heading } from './quickPicks.ts';
import { findPanopticAnnotations } from './workspaceFiles.ts';

const title = 'Evaluate Region Classification';

export interface EvaluatePicksContext {
  memory: WorkspaceMemory;
  registry: RunRegistry;
  demo: DemoAssets;
  models: ModelSupply;
}

/** Asks for what `given` leaves open; null when the user cancelled. */
export async function askForEvaluation(
  given: EvaluateArguments,
  context: EvaluatePicksContext,
): Promise<EvaluationChoice | null> {
  const steps: WizardStep<EvaluationChoice>[] = [];
  const askPath = (
    name: 'model' | 'panoptic' | 'images' | 'masks',
    placeholder: string,
    items: (state: Partial<EvaluationChoice>) => Promise<ChoiceItem<PathChoice>[]>,
  ): void => {
    if (given[name] !== undefined) return;
    steps.push(async (state, position) => {
      const outcome = await askForPath({ title, placeholder, items: items(state), position });
      return named(name, outcome);
    });
  };
  askPath('model', 'Which model or run?', async () => [
    ...runItems(context.registry),
    ...(await modelItems(context.memory, context.demo, context.models)),
  ]);
  askPath('panoptic', 'Which COCO panoptic annotations?', annotationItems);
  askPath('images', 'Where are the images?', ({ panoptic }) => folderItems(panoptic, 'images', 'images'));
  askPath('masks', 'Where are the PNG files of the segments?', ({ panoptic }) =>
    folderItems(panoptic, 'masks', 'PNG files of segment ids'),
  );
  if (given.embeddings === undefined)
    steps.push(async (_, position) => named('embeddings', await askForWords(position)));
  if (given.size === undefined)
    steps.push(async (_, position) => {
      const placeholder = 'Longest side of the image as the model sees it?';
      return named('size', sizeOf(await ask({ title, placeholder, items: sizeItems(), position })));
    });
  const answers = await runWizard(steps, given);
  if (!answers) return null;
  const { model, panoptic, images, masks, embeddings = null, size = null } = answers;
  if (!model || !panoptic || !images || !masks) return null;
  return { model, panoptic, images, masks, embeddings, size };
}

function named<Name extends keyof EvaluationChoice>(
  name: Name,
  outcome: StepOutcome<EvaluationChoice[Name]>,
): StepOutcome<Partial<EvaluationChoice>> {
  return outcome.kind === 'answered' ? { kind: 'answered', value: { [name]: outcome.value } } : outcome;
}

/** Runs that have a student. */
export const runItems = ({ runs }: RunRegistry): ChoiceItem<PathChoice>[] =>
  runs
    .filter(({ step }) => step > 0)
    .map(({ directory, step }) => pathItem(directory, 'run-all', `run, step ${step}`));

async function annotationItems(): Promise<ChoiceItem<PathChoice>[]> {
  const found = await findPanopticAnnotations();
  return [
    ...found.map(file => pathItem(file, 'json', 'in this workspace')),
    heading('elsewhere'),
    browseItem('Browse for annotations…', {
      title: 'COCO panoptic annotations',
      openLabel: 'Evaluate on These',
      canSelectFiles: true,
      filters: { 'COCO annotations': ['json'] },
    }),
  ];
}

async function folderItems(
  panoptic: string | undefined,
  kind: 'images' | 'masks',
  what: string,
): Promise<ChoiceItem<PathChoice>[]> {
  const likely = panoptic === undefined ? [] : likelyFolders(panoptic)[kind];
  const present = await Promise.all(likely.map(isFolder));
  return [
    ...likely
      .filter((_, index) => present[index])
      .map(folder => pathItem(folder, 'folder', 'by COCO’s names')),
    browseItem('Browse for a folder…', {
      title: `Folder of ${what}`,
      openLabel: 'Use This Folder',
      canSelectFiles: false,
      canSelectFolders: true,
    }),
  ];
}

const isFolder = (folder: string): Promise<boolean> =>
  stat(folder).then(
    status => status.isDirectory(),
    () => false,
  );

const wordsDialogue: vscode.OpenDialogOptions = {
  title: 'Class embeddings: one row a category, by id',
  openLabel: 'Use These Words',
  canSelectFiles: true,
  filters: { 'NumPy arrays': ['npy'] },
};

async function askForWords(
  position: Parameters<typeof ask>[0]['position'],
): Promise<StepOutcome<string | null>> {
  const items: ChoiceItem<'prompts' | 'browse'>[] = [
    {
      label: '$(symbol-string) Default prompts',
      detail: 'The model’s own text tower reads the names of the categories',
      choice: 'prompts',
    },
    { label: '$(folder-opened) Browse for class embeddings…', alwaysShow: true, choice: 'browse' },
  ];
  for (;;) {
    const question = { title, placeholder: 'Which words?', items };
    const outcome = await ask(position ? { ...question, position } : question);
    if (outcome.kind !== 'answered') return outcome;
    if (outcome.value === 'prompts') return { kind: 'answered', value: null };
    const chosen = await browse(wordsDialogue);
    if (chosen !== null) return { kind: 'answered', value: chosen };
  }
}

/** 0 stands for the default. */
const sizeItems = (): ChoiceItem<number>[] => [
  { label: 'Twice the pretraining size', description: 'such as 448 px', choice: 0 },
  ...[224, 336, 448, 672, 896, 1024].map(size => ({ label: `${size} px`, choice: size })),
];

const sizeOf = (outcome: StepOutcome<number>): StepOutcome<number | null> =>
  outcome.kind === 'answered' ? { kind: 'answered', value: outcome.value || null } : outcome;
