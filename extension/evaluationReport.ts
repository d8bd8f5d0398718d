import { FileError } from '../trainer/checkpoints/fileError.ts';
import { isJsonObject, readJson } from '../trainer/checkpoints/jsonFile.ts';
import {
  type Confusion,
  classKinds,
  type EvaluationReport,
  type ReadingReport,
  regionReadings,
  regionSizes,
} from '../trainer/evaluate/protocol.ts';
import type { ShownReading, ShownReport } from '../webview/evaluation/protocol.ts';

/** Largest report that is read: confusions of a thousand classes take a few megabytes. */
const MAXIMUM_BYTES = 256 * 1024 ** 2;

/** Most classes of a report. */
const MAXIMUM_CLASSES = 100_000;

const advice = 'Write the report again with “clipself evaluate”';

type Fields = Record<string, unknown>;

/** The report is of a version that this one does not read. */
export class ReportSchemaError extends FileError {}

/**
 * Reads a `report.json`.
 *
 * @throws ReportSchemaError when it is of another version; FileError when it cannot be read or is no report.
 */
export async function readReport(file: string): Promise<EvaluationReport> {
  return parseReport(await readJson(file, MAXIMUM_BYTES), file);
}

/**
 * Checks the content of a report, which may come from anywhere, as far as the panel relies on it.
 *
 * @throws ReportSchemaError, FileError naming the field that is missing or wrong.
 */
export function parseReport(content: unknown, file: string): EvaluationReport {
  if (!isJsonObject(content) || !('schema' in content) || !('readings' in content)) {
    throw new FileError(
      file,
      'it is no report of an evaluation',
      'Choose a report.json of “clipself evaluate”',
    );
  }
  if (content.schema !== 1) {
    const found = JSON.stringify(content.schema);
    throw new ReportSchemaError(file, `it has schema ${found}, and this version reads 1`, advice);
  }
  const check = new ReportCheck(file);
  const model = check.object(content, 'model');
  check.texts(model, 'model.', ['name', 'path', 'sha256']);
  for (const name of ['step', 'epoch'] as const) check.numberOrNull(model, 'model.', name);
  if (model.run !== null) check.texts(model, 'model.', ['run']);
  const data = check.object(content, 'data');
  check.texts(data, 'data.', ['annotations', 'images', 'sha256']);
  check.texts(check.object(content, 'words'), 'words.', ['source', 'sha256']);
  check.texts(content, '', ['created']);
  check.counts(content, '', ['size']);
  const classes = check.classes(content.classes);
  const counts = check.object(content, 'counts');
  check.counts(counts, 'counts.', ['images', 'regions']);
  const skipped = check.object(counts, 'skipped');
  check.counts(skipped, 'counts.skipped.', Object.keys(skipped));
  check.numbers(check.object(content, 'numbers'), 'numbers.');
  const readings = check.object(content, 'readings');
  for (const reading of regionReadings) {
    if (readings[reading] !== undefined) check.reading(check.object(readings, reading), reading, classes);
  }
  check.retention(content.retention);
  check.sweep(content.sweep);
  check.counts(check.object(content, 'time'), 'time.', ['seconds', 'forwardSeconds', 'imagesPerSecond']);
  check.texts(check.object(content, 'versions'), 'versions.', ['clipself', 'engine']);
  return content as unknown as EvaluationReport;
}

/** Checks of single fields; each throws a `FileError` that names the field. */
class ReportCheck {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  fail(name: string, wanted: string): never {
    throw new FileError(this.#file, `${name} must be ${wanted}`, advice);
  }

  object(holder: Fields, name: string): Fields {
    const value = holder[name];
    return isJsonObject(value) ? value : this.fail(name, 'an object');
  }

  list(value: unknown, name: string): unknown[] {
    return Array.isArray(value) ? value : this.fail(name, 'a list');
  }

  texts(holder: Fields, path: string, names: readonly string[]): void {
    for (const name of names) if (typeof holder[name] !== 'string') this.fail(`${path}${name}`, 'text');
  }

  /** Numbers that are never below zero. */
  counts(holder: Fields, path: string, names: readonly string[]): void {
    for (const name of names) {
      const value = holder[name];
      if (!(typeof value === 'number' && Number.isFinite(value) && value >= 0))
        this.fail(`${path}${name}`, 'a number of at least 0');
    }
  }

  numberOrNull(holder: Fields, path: string, name: string): void {
    const value = holder[name];
    if (value !== null && !(typeof value === 'number' && Number.isFinite(value)))
      this.fail(`${path}${name}`, 'a number or null');
  }

  numbers(holder: Fields, path: string): void {
    for (const reading of regionReadings)
      for (const kind of classKinds)
        for (const top of [1, 5]) {
          const name = `${reading}.${kind}.macc${top}`;
          if (holder[name] !== undefined) this.numberOrNull(holder, path, name);
        }
  }

  /** @returns How many classes there are. */
  classes(value: unknown): number {
    const classes = this.list(value, 'classes');
    if (classes.length > MAXIMUM_CLASSES) this.fail('classes', `at most ${MAXIMUM_CLASSES} long`);
    classes.forEach((entry, index) => {
      const name = `classes[${index}]`;
      if (!isJsonObject(entry)) this.fail(name, 'an object');
      if (
        typeof entry.id !== 'number' ||
        typeof entry.name !== 'string' ||
        typeof entry.isThing !== 'boolean'
      )
        this.fail(name, 'an id, a name and isThing');
    });
    return classes.length;
  }

  accuracy(value: unknown, name: string): void {
    if (!isJsonObject(value)) this.fail(name, 'an object');
    this.counts(value, `${name}.`, ['regions']);
    for (const field of ['top1', 'top5', 'margin']) this.numberOrNull(value, `${name}.`, field);
  }

  place(value: unknown, classes: number, name: string): void {
    if (!(Number.isInteger(value) && (value as number) >= 0 && (value as number) < classes))
      this.fail(name, `the place of one of ${classes} classes`);
  }

  reading(value: Fields, reading: string, classes: number): void {
    const path = `readings.${reading}`;
    this.accuracy(value.overall, `${path}.overall`);
    const bySize = this.object(value, 'bySize');
    for (const size of regionSizes) this.accuracy(bySize[size], `${path}.bySize.${size}`);
    this.list(value.perClass, `${path}.perClass`).forEach((entry, index) => {
      const name = `${path}.perClass[${index}]`;
      this.accuracy(entry, name);
      this.place((entry as Fields).class, classes, `${name}.class`);
    });
    this.list(value.confusions, `${path}.confusions`).forEach((entry, index) => {
      const name = `${path}.confusions[${index}]`;
      if (!isJsonObject(entry)) this.fail(name, 'an object');
      this.place(entry.truth, classes, `${name}.truth`);
      this.place(entry.named, classes, `${name}.named`);
      this.counts(entry, `${name}.`, ['regions']);
    });
  }

  retention(value: unknown): void {
    if (value === null) return;
    if (!isJsonObject(value)) this.fail('retention', 'an object or null');
    this.counts(value, 'retention.', ['images']);
    this.counts(this.object(value, 'student'), 'retention.student.', ['top1', 'top5']);
    if (value.teacher !== null)
      this.counts(this.object(value, 'teacher'), 'retention.teacher.', ['top1', 'top5']);
  }

  sweep(value: unknown): void {
    this.list(value, 'sweep').forEach((point, index) => {
      if (!isJsonObject(point)) this.fail(`sweep[${index}]`, 'an object');
      this.counts(point, `sweep[${index}].`, ['size']);
      this.numbers(this.object(point, 'numbers'), `sweep[${index}].numbers.`);
    });
  }
}

/** Confusions as uint32 triples: true class, named class, regions. */
export function packConfusions(confusions: readonly Confusion[]): ArrayBuffer {
  const packed = new Uint32Array(confusions.length * 3);
  confusions.forEach(({ truth, named, regions }, index) => {
    packed.set([truth, named, regions], index * 3);
  });
  return packed.buffer;
}

const shownReading = ({ confusions, ...reading }: ReadingReport): ShownReading => ({
  ...reading,
  confusions: packConfusions(confusions),
});

/** The report as it travels to a panel. */
export function shownReport(report: EvaluationReport): ShownReport {
  const readings: ShownReport['readings'] = {};
  for (const reading of regionReadings) {
    const found = report.readings[reading];
    if (found !== undefined) readings[reading] = shownReading(found);
  }
  return { ...report, readings };
}
