import { open } from 'node:fs/promises';
import { FileError } from '../trainer/checkpoints/fileError.ts';
import { isJsonObject, readJson } from '../trainer/checkpoints/jsonFile.ts';
import { namedReadings, type SegmentationReport, segmentSides } from '../trainer/segment/protocol.ts';
import { ReportSchemaError } from './evaluationReport.ts';

/** Largest report that is read: confusions of a thousand classes take tens of megabytes. */
const maximumBytes = 256 * 1024 ** 2;
const maximumClasses = 4096;
const maximumOverlays = 1000;
const advice = 'Write the report again with “clipself segment”';

type Fields = Record<string, unknown>;

/** Whether a file begins as the report of a segmentation does; false where it cannot be read. */
export async function isSegmentationReport(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'r');
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(200), 0, 200, 0);
      const start = buffer.toString('utf8', 0, bytesRead);
      return /^\s*\{\s*"schema":\s*\d+,\s*"kind":\s*"segmentation"/.test(start);
    } finally {
      await handle.close();
    }
  } catch {
    return false;
  }
}

/**
 * Reads the report of `clipself segment`, which may come from anywhere, and checks what the panel relies on.
 *
 * @throws ReportSchemaError when it is of another version; FileError when it cannot be read or is no such report.
 */
export async function readSegmentationReport(file: string): Promise<SegmentationReport> {
  const content = await readJson(file, maximumBytes);
  if (!isJsonObject(content) || content.kind !== 'segmentation')
    throw new FileError(file, 'it is no report of a segmentation', advice);
  if (content.schema !== 1)
    throw new ReportSchemaError(
      file,
      `it has schema ${JSON.stringify(content.schema)}, and this version reads 1`,
      advice,
    );
  const { classes } = content;
  const isList = Array.isArray(classes) && classes.length <= maximumClasses;
  require(file, isList && classes.every(isClass), 'classes');
  const count = (classes as unknown[]).length;
  require(file, typeof content.size === 'number' && isObjectOf(content.data, ['labels', 'images']), 'data');
  require(file, isJsonObject(content.counts) &&
    isCount(content.counts.images) &&
    isCount(content.counts.pixels), 'counts');
  for (const side of segmentSides)
    if (side === 'after' || content[side] !== null) require(file, isSide(content[side], count), side);
  const { overlays } = content;
  const isFew = Array.isArray(overlays) && overlays.length <= maximumOverlays;
  require(file, isFew && overlays.every(isOverlay), 'overlays');
  return content as unknown as SegmentationReport;
}

function require(file: string, isRight: boolean, name: string): void {
  if (!isRight) throw new FileError(file, `“${name}” is missing or not as this version writes it`, advice);
}

const isCount = (value: unknown): boolean =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0;
const isShare = (value: unknown): boolean => value === null || isCount(value);
const isObjectOf = (value: unknown, texts: readonly string[]): value is Fields =>
  isJsonObject(value) && texts.every(name => typeof value[name] === 'string');
const isClass = (value: unknown): boolean => isObjectOf(value, ['name']) && typeof value.id === 'number';

const isPlace = (value: unknown, classes: number): boolean =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < classes;

function isSide(value: unknown, classes: number): boolean {
  if (!isJsonObject(value) || !isObjectOf(value.model, ['name', 'path'])) return false;
  const { pixels, naming } = value;
  if (!isJsonObject(pixels) || !isJsonObject(naming)) return false;
  const every = (list: unknown, fits: (entry: Fields) => boolean): boolean =>
    Array.isArray(list) && list.every(entry => isJsonObject(entry) && fits(entry));
  return (
    [pixels.miou, pixels.pixelAccuracy, pixels.meanAccuracy].every(isShare) &&
    every(
      pixels.perClass,
      entry => isPlace(entry.class, classes) && isCount(entry.truth) && isShare(entry.iou),
    ) &&
    every(
      pixels.confusions,
      entry => isPlace(entry.truth, classes) && isPlace(entry.named, classes) && isCount(entry.pixels),
    ) &&
    namedReadings.every(reading => {
      const read = naming[reading];
      return (
        isJsonObject(read) &&
        isCount(read.regions) &&
        [read.map, read.accuracy].every(isShare) &&
        every(read.perClass, entry => isPlace(entry.class, classes) && isShare(entry.ap))
      );
    })
  );
}

const isOverlay = (value: unknown): boolean =>
  isObjectOf(value, ['image', 'truth', 'after']) &&
  (value.before === null || typeof value.before === 'string');
