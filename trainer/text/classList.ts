import path from 'node:path';
import { FileError } from '../checkpoints/fileError.ts';
import { isJsonObject, readBoundedText, readJson } from '../checkpoints/jsonFile.ts';

/** A class as a data set names it. */
export interface ListedClass {
  /** Category id of the data set; the position in the list where it gives none. */
  readonly id: number;
  readonly name: string;
  /** Countable object rather than background; true where the list does not say, as in COCO's instances. */
  readonly isThing: boolean;
}

/** ImageNet-21k has 21,841. */
const maximumClasses = 100_000;
const maximumNameLength = 500;
const maximumTextBytes = 32 * 2 ** 20;
/** Annotation files carry their classes beside everything else: those of LVIS's validation part have 192 MB. */
const maximumJsonBytes = 256 * 2 ** 20;

const advice =
  'A class list is a text file with a name a line, a JSON array of names or of {"id", "name", "isthing"}, or COCO-style annotations';

/**
 * Reads a class list: the categories of COCO-style annotations or a JSON array of `{id, name, isthing}`, both sorted by
 * id; a JSON array of names, or a text file with a name a line, in their order.
 *
 * @throws FileError when it cannot be read or holds something else.
 */
export async function readClassList(file: string): Promise<ListedClass[]> {
  if (path.extname(file).toLowerCase() !== '.json')
    return classesOfNames(namesInText(await readBoundedText(file, maximumTextBytes)), file);
  const content = await readJson(file, maximumJsonBytes);
  const list = isJsonObject(content) ? content.categories : content;
  if (!Array.isArray(list)) throw new FileError(file, 'it has no list of categories', advice);
  if (list.length > 0 && list.every(entry => typeof entry === 'string')) return classesOfNames(list, file);
  return classesOfCategories(list, file);
}

/** One name a line; empty lines do not count. */
const namesInText = (text: string): string[] =>
  text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .map(line => line.trim())
    .filter(line => line !== '');

/**
 * Classes of a list of names, in their order.
 *
 * @param source Named in errors.
 * @throws FileError when there is none, or a name is empty or absurdly long.
 */
export function classesOfNames(names: readonly string[], source: string): ListedClass[] {
  return checked(
    names.map((name, id) => ({ id, name: name.trim(), isThing: true })),
    source,
  );
}

/**
 * Classes of a COCO-style list of categories, sorted by id.
 *
 * @param source Named in errors.
 * @throws FileError naming the entry that is no category, or an id that occurs twice.
 */
export function classesOfCategories(categories: readonly unknown[], source: string): ListedClass[] {
  const classes = categories.map((entry, index): ListedClass => {
    const refuse = (reason: string): never => {
      throw new FileError(source, `category ${index} ${reason}`, advice);
    };
    if (!isJsonObject(entry)) return refuse('is no object');
    const { id = index, name, isthing: isThing = 1 } = entry;
    if (typeof id !== 'number' || !Number.isSafeInteger(id))
      return refuse('has an id that is no whole number');
    if (typeof name !== 'string') return refuse('has no name');
    if (![0, 1, true, false].includes(isThing as number | boolean))
      return refuse('has an isthing that is neither 0 nor 1');
    return { id, name: name.trim(), isThing: Boolean(isThing) };
  });
  return checked(
    classes.sort((a, b) => a.id - b.id),
    source,
  );
}

function checked(classes: ListedClass[], source: string): ListedClass[] {
  const refuse = (reason: string): never => {
    throw new FileError(source, reason, advice);
  };
  if (classes.length === 0) return refuse('it names no classes');
  if (classes.length > maximumClasses)
    return refuse(`it names ${classes.length} classes, more than ${maximumClasses}`);
  classes.forEach(({ id, name }, index) => {
    if (name === '' || name.length > maximumNameLength)
      refuse(`the name of class ${id} has ${name.length} characters`);
    if (index > 0 && classes[index - 1]!.id === id) refuse(`the id ${id} occurs twice`);
  });
  return classes;
}
