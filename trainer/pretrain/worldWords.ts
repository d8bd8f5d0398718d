import { defaultPrompts, promptsFor } from '../text/prompts.ts';
import { Tokenizer } from '../text/tokenizer.ts';
import { parseVocabulary } from '../text/vocabulary.ts';
import { worldClasses } from '../world/classes.ts';
import { wordsOf, wordTokenizer } from './wordTokenizer.ts';

/** What the tiny CLIP reads: the classes of Emoji World in the prompts that evaluations use. */
export interface WorldWords {
  /** Content of the model's `tokenizer.json`. */
  readonly tokenizer: object;
  readonly vocabularySize: number;
  /** Sentences of each class. */
  readonly prompts: readonly (readonly string[])[];
  /** Token ids of sentence `prompt` of class `label`, `[context length]`. */
  tokens(label: number, prompt: number): Int32Array;
}

/** Tokens of the longest sentence, its start and end among them. */
export const longestSentence = 16;

/** @param contextLength Token ids of a text. */
export function worldWords(contextLength: number): WorldWords {
  const prompts = worldClasses.map(({ name }) => promptsFor(name, defaultPrompts));
  const { content, size } = wordTokenizer(wordsOf(prompts.flat()));
  const tokenizer = new Tokenizer(parseVocabulary(content, 'tokenizer.json'));
  const encoded = prompts.map(sentences => sentences.map(text => tokenizer.encode(text, contextLength)));
  return {
    tokenizer: content,
    vocabularySize: size,
    prompts,
    tokens: (label, prompt) => encoded[label]![prompt]!,
  };
}
