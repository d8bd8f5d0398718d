import path from 'node:path';
import { FileError } from '../checkpoints/fileError.ts';
import { readBoundedText, readJson } from '../checkpoints/jsonFile.ts';

/** Sentences into which the name of a class is put. */
export interface PromptSet {
  /** For reports: `default`, or the path of the file. */
  readonly name: string;
  /** `{}` is the name of the class, `{article}` is "a" or "an". */
  readonly templates: readonly string[];
}

/** Our own: the thing near and far, whole and in part, in several lights, sharp and not, as photograph and drawing. */
export const defaultPrompts: PromptSet = {
  name: 'default',
  templates: [
    'a photo of {article} {}.',
    'a photograph showing {article} {}.',
    'a picture with {article} {} in it.',
    'a snapshot of {article} {}.',
    'a detail of {article} {}.',
    'a view of the {}.',
    'a scene with {article} {}.',
    'a part of {article} {}.',
    'a crop around {article} {}.',
    'a region of the image with {article} {}.',
    'an image in which {article} {} can be seen.',
    'here you can see {article} {}.',
    'look at the {}.',
    'what is shown is {article} {}.',
    'more than one {}.',
    "somebody's {}.",
    '{article} {} in its usual surroundings.',
    '{article} {} seen from close by.',
    '{article} {} seen from far away.',
    '{article} {} in the foreground.',
    '{article} {} in the background.',
    '{article} {} partly hidden by something else.',
    '{article} {} cut off by the edge of the picture.',
    '{article} {} indoors.',
    '{article} {} outdoors.',
    '{article} {} in daylight.',
    '{article} {} at night.',
    'the {} in this picture.',
    'a tiny {} in a wide scene.',
    'a big {} that fills the picture.',
    'an old {}.',
    'a brand-new {}.',
    'a colourful {}.',
    'a grainy picture of {article} {}.',
    'a sharp picture of {article} {}.',
    'an out-of-focus picture of {article} {}.',
    'a picture of {article} {} in black and white.',
    'a sketch of {article} {}.',
    'an illustration of {article} {}.',
    'a miniature of {article} {}.',
  ],
};

/** Texts as they are, for words that are whole prompts already. */
export const plainPrompts: PromptSet = { name: 'plain', templates: ['{}'] };

const maximumTemplates = 1000;
const maximumTemplateLength = 2000;
const maximumBytes = 4 * 2 ** 20;
const advice =
  'Prompts are a text file with a sentence a line, or a JSON array of sentences, each with {} for the name';

/**
 * Reads a prompt set: a text file with a sentence a line, or a JSON array of sentences.
 *
 * @throws FileError when it cannot be read, is empty, or a sentence lacks `{}`.
 */
export async function readPrompts(file: string): Promise<PromptSet> {
  const isJson = path.extname(file).toLowerCase() === '.json';
  const content: unknown = isJson
    ? await readJson(file, maximumBytes)
    : (await readBoundedText(file, maximumBytes)).replace(/^\uFEFF/, '').split(/\r\n|\n|\r/);
  if (!Array.isArray(content) || !content.every(line => typeof line === 'string'))
    throw new FileError(file, 'it is no array of sentences', advice);
  const templates = content.map(line => line.trim()).filter(line => line !== '');
  if (templates.length === 0 || templates.length > maximumTemplates)
    throw new FileError(file, `it holds ${templates.length} sentences, not 1 to ${maximumTemplates}`, advice);
  for (const template of templates) {
    if (!template.includes('{}'))
      throw new FileError(file, `the sentence '${template.slice(0, 60)}' has no {} for the name`, advice);
    if (template.length > maximumTemplateLength)
      throw new FileError(file, `a sentence has ${template.length} characters`, advice);
  }
  return { name: file, templates };
}

/** A class's name as it is read: `dining_table` → `dining table`, `sofa/couch` → `sofa or couch`, `Ice Cream.` → `ice cream`. */
export const cleanName = (name: string): string =>
  name.replaceAll('_', ' ').replaceAll('/', ' or ').toLowerCase().replace(/\.+$/, '');

/** By the first letter of the name as the list has it; a capital does not count as a vowel (published code). */
const articleOf = (name: string): string => (/^[aeiou]/.test(name) ? 'an' : 'a');

/**
 * The prompts of a class, as the published code makes them: those that begin with "a" or "the" become sentences.
 *
 * @param name As the class list has it.
 */
export function promptsFor(name: string, { templates }: PromptSet): string[] {
  return templates.map(template => {
    const prompt = template.replaceAll(/\{(article)?\}/g, (_, article: string | undefined) =>
      article === undefined ? cleanName(name) : articleOf(name),
    );
    // A template that begins with the name is taken as it is.
    const isPhrase = !template.startsWith('{}') && (prompt.startsWith('a') || prompt.startsWith('the'));
    return isPhrase ? `This is ${prompt}` : prompt;
  });
}
