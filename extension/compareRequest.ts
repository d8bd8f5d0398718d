import { mostRuns } from '../trainer/compare/protocol.ts';
import { directoryOfArgument } from './runArgument.ts';

/** Whether the command `clipself.compareRuns` was called with its documented argument: a list of run directories. */
export const isCompareArgument = (argument: unknown): argument is readonly unknown[] =>
  Array.isArray(argument);

/**
 * The runs that the command is meant for: the argument's, or those selected in the runs view. The entry under the
 * pointer counts when it is not among those selected.
 *
 * @throws Error when there are too many.
 */
export function runsOfArguments(argument: unknown, selection: unknown): string[] {
  const clicked = directoryOfArgument(argument);
  const selected = directoriesOf(Array.isArray(argument) ? argument : selection);
  const meant = clicked === null || selected.includes(clicked) ? selected : [clicked];
  if (meant.length > mostRuns)
    throw new Error(`At most ${mostRuns} runs can be compared; ${meant.length} were chosen.`);
  return meant;
}

function directoriesOf(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return [...new Set(value.map(directoryOfArgument).filter(directory => directory !== null))];
}
