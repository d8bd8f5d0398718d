import { twelveNumberNames } from '../evaluate/protocol.ts';
import { comparedRun, type ReadRun, type StatedConfiguration } from './comparedRun.ts';
import type { ComparedRun, NumberRow, RunComparison, SettingRow } from './protocol.ts';
import { shortNames } from './shortNames.ts';

/**
 * Compares runs: settings in which they differ, and the twelve numbers with differences to a base run.
 *
 * @param base Position of the base run.
 */
export function compareRuns(runs: readonly ReadRun[], base: number): RunComparison {
  const names = shortNames(runs.map(({ directory }) => directory));
  const compared = runs.map((run, index) => comparedRun(run, names[index]!));
  return {
    schema: 1,
    base,
    runs: compared,
    settings: settingRows(runs.map(run => (run.problem === null ? run.configuration : null))),
    numbers: numberRows(compared, base),
  };
}

/**
 * The settings in which runs differ, and what else makes one run another: weights, regions, images and versions. A
 * setting that an earlier version did not have counts as what that version did.
 *
 * @param configurations One a run; null where it cannot be read: its values are null and make no difference.
 */
function settingRows(configurations: readonly (StatedConfiguration | null)[]): SettingRow[] {
  const entries = configurations.map(configuration => configuration && entriesOf(configuration));
  const names = [...new Set(entries.flatMap(values => [...(values?.keys() ?? [])]))];
  return names.flatMap((name): SettingRow[] => {
    const cells = entries.map(values => values?.get(name) ?? null);
    const readable = cells.filter((_, index) => entries[index] !== null);
    const differs = new Set(readable.map(cell => cell?.effective ?? null)).size > 1;
    return differs ? [{ name, values: cells.map(cell => (cell?.isStated ? cell.effective : null)) }] : [];
  });
}

interface SettingCell {
  effective: string;
  isStated: boolean;
}

function entriesOf({ configuration, stated }: StatedConfiguration): Map<string, SettingCell> {
  const cells = new Map<string, SettingCell>();
  const add = (name: string, value: unknown, isStated = true): void => {
    cells.set(name, { effective: value === null ? 'none' : String(value), isStated });
  };
  add('task', 'task' in configuration ? configuration.task : 'train');
  for (const [name, value] of Object.entries(configuration.settings)) add(name, value, stated.has(name));
  add('modelHash', configuration.modelHash);
  add('regionsHash', 'regionsHash' in configuration ? configuration.regionsHash : null);
  add('images.training', configuration.imageCount.training);
  add('images.heldOut', configuration.imageCount.heldOut);
  add('totalSteps', configuration.totalSteps);
  add('versions.clipself', configuration.versions.clipself);
  add('versions.engine', configuration.versions.engine);
  return cells;
}

/** The twelve numbers of each run, and how far each is from the base run's. */
function numberRows(runs: readonly ComparedRun[], base: number): NumberRow[] {
  return twelveNumberNames.map(name => {
    const values = runs.map(({ numbers }) => numbers[name] ?? null);
    const against = values[base] ?? null;
    const differences = values.map((value, index) =>
      index === base || value === null || against === null ? null : value - against,
    );
    return { name, values, differences };
  });
}
