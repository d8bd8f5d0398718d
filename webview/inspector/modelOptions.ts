import type { SelectOption } from '../selectOption.ts';
import { type ModelChoice, type ModelSource, type RunSteps, sourceKey } from './protocol/models.ts';

const groupNames: Record<ModelChoice['group'], string> = {
  run: 'Runs',
  workspace: 'In this workspace',
  recent: 'Recent',
  demo: 'Demo',
};

/**
 * The models as a list with groups. A saved step of a run is looked at through the step slider, so that the list holds
 * each run once; the source in force is always listed, even when its file was not found.
 */
export function modelOptions(choices: readonly ModelChoice[], current: ModelSource | null): SelectOption[] {
  const options = new Map<string, SelectOption>();
  for (const { source, label, group } of choices)
    options.set(sourceKey(source), { value: sourceKey(source), label, group: groupNames[group] });
  if (current !== null && !options.has(sourceKey(current)))
    options.set(sourceKey(current), {
      value: sourceKey(current),
      label: sourceName(current, choices),
      group: groupNames[current.kind === 'run' || current.kind === 'original' ? 'run' : 'recent'],
    });
  return [...options.values()];
}

/** What a source is called in a sentence. */
export function sourceName(source: ModelSource, choices: readonly ModelChoice[]): string {
  const choice = choices.find(candidate => sourceKey(candidate.source) === sourceKey(source));
  if (choice) return choice.label;
  switch (source.kind) {
    case 'demo':
      return 'Demo model';
    case 'file':
      return baseName(source.path);
    case 'original':
      return `${baseName(source.directory)}, original`;
    case 'run':
      return `${baseName(source.directory)}, ${source.step === null ? 'student' : `step ${source.step}`}`;
  }
}

/** The run that a source belongs to; null when it is none or no longer there. */
export function runOfSource(runs: readonly RunSteps[], source: ModelSource): RunSteps | null {
  if (source.kind !== 'run') return null;
  return runs.find(run => run.directory === source.directory) ?? null;
}

export function baseName(path: string): string {
  return path.split(/[\\/]/).filter(Boolean).pop() ?? path;
}
