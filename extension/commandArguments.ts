/** Checks of what commands are called with: free text in a key binding, or whatever a menu passes. */

import path from 'node:path';
import type { CommandId } from './identifiers.ts';

/** Whether an argument is the documented kind of object; what menus pass, such as a `Uri`, is not. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** @throws Error naming the entry that the command does not know. */
export function rejectUnknown(command: CommandId, argument: object, known: readonly string[]): void {
  for (const name of Object.keys(argument))
    if (!known.includes(name))
      throw new Error(`“${name}” is not an argument of ${command}. Known: ${known.join(', ')}.`);
}

/** @throws Error naming the entry that is no absolute path. */
export function absolutePath(name: string, value: unknown): string {
  if (typeof value === 'string' && path.isAbsolute(value)) return path.normalize(value);
  throw new Error(`“${name}” must be an absolute path, not ${JSON.stringify(value)}.`);
}

/** @throws Error naming the entry that is no whole number of this range. */
export function wholeNumber(name: string, value: unknown, minimum: number, maximum: number): number {
  if (Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum) return Number(value);
  throw new Error(
    `“${name}” must be a whole number from ${minimum} to ${maximum}, not ${JSON.stringify(value)}.`,
  );
}

/** @throws Error naming the entry that is neither true nor false. */
export function trueOrFalse(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new Error(`“${name}” must be true or false.`);
}
