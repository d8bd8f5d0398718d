/** Values of options, from their text. */
import path from 'node:path';
import { checkRange, SettingError } from '../training/settings.ts';

/** A number, or the text itself for the message that refuses it. */
export const numberOf = (text: string): number | string => {
  const value = Number(text);
  return text.trim() === '' || Number.isNaN(value) ? text : value;
};

/** @throws SettingError */
export function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = numberOf(text);
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new SettingError(`${option} takes a whole number from ${least} to ${most}; got '${text}'`);
}

/** @throws SettingError */
export function realNumber(option: string, text: string, least: number, most: number): number {
  const value = numberOf(text);
  if (typeof value === 'number' && value >= least && value <= most) return value;
  throw new SettingError(`${option} takes a number from ${least} to ${most}; got '${text}'`);
}

/**
 * `--size` and the like, pixels.
 *
 * @throws SettingError
 */
export function sizeInPixels(text: string, option = '--size'): number {
  checkRange('size', numberOf(text), option);
  return Number(text);
}

/** `--step`: a checkpoint of a run; null without it. */
export const stepNumber = (text: string | undefined): number | null =>
  text === undefined ? null : wholeNumber('--step', text, 0, 1e9);

/** `--threads`; 0 leaves the choice to the engine. */
export const threadNumber = (text: string): number => wholeNumber('--threads', text, 0, 1024);

/** Null for an option that is not given. */
export const absolutePath = (file: string | undefined): string | null =>
  file === undefined ? null : path.resolve(file);
