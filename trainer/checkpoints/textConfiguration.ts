import type { TextArchitecture, TextDescription } from '../models/textArchitecture.ts';
import { type Fields, shown } from './configurationFields.ts';
import { FileError } from './fileError.ts';
import { isJsonObject } from './jsonFile.ts';

/** Fields of `text_cfg` that this tower reads, or that change nothing in it. */
const understoodFields: ReadonlySet<string> = new Set([
  ...['context_length', 'vocab_size', 'width', 'heads', 'layers', 'mlp_ratio', 'pool_type', 'eos_id'],
  // EVA-CLIP's choice of kernels.
  ...['xattn', 'fusedLN'],
  // Padding and names of files: what comes after the end of a text is not seen.
  ...['pad_id', 'output_tokens', 'hf_tokenizer_name'],
]);

/** Values that mean "as in CLIP's tower" for fields that otherwise change it. */
const plainValues: Readonly<Record<string, unknown>> = { proj_type: 'linear' };

/** OpenCLIP's name for reading out at the first token of the highest id, and at the first of a given one. */
const poolings = ['argmax', 'eos'];

function checkFields(text: Fields): void {
  for (const name of text.names) {
    const value = text.value(name);
    if (understoodFields.has(name) || value === null || value === false || value === '') continue;
    if (Object.hasOwn(plainValues, name) && plainValues[name] === value) continue;
    if (isJsonObject(value) && Object.keys(value).length === 0) continue;
    text.fail(name, `(${shown(value)}) asks for another text tower than CLIP's own`);
  }
}

function parseTower(text: Fields): TextArchitecture {
  checkFields(text);
  const width = text.integer('width', 65536, 512);
  const heads = text.integer('heads', 65536, 8);
  if (width % heads !== 0) text.fail('heads', `(${heads}) must divide width (${width})`);
  const pooling = text.value('pool_type') ?? 'argmax';
  if (typeof pooling !== 'string' || !poolings.includes(pooling))
    text.fail('pool_type', `(${shown(pooling)}) must be ${poolings.join(' or ')}`);
  return {
    kind: 'clip',
    contextLength: text.integer('context_length', 4096, 77),
    vocabularySize: text.integer('vocab_size', 1 << 24, 49408),
    width,
    heads,
    layers: text.integer('layers', 1024, 12),
    mlpWidth: Math.trunc(width * text.number('mlp_ratio', 64, 4)),
    endOfText: pooling === 'eos' ? text.integer('eos_id', 1 << 24, 2) : null,
  };
}

/** Text tower of a `model_cfg`. One that cannot be computed is no error: images do not need it. */
export function parseTextConfiguration(model: Fields): TextDescription {
  const configuration = model.value('text_cfg');
  if (!isJsonObject(configuration)) return { kind: 'none' };
  try {
    return parseTower(model.object('text_cfg'));
  } catch (error) {
    if (error instanceof FileError) return { kind: 'other', reason: error.reason, configuration };
    throw error;
  }
}

/** The `text_cfg` that reads back as this tower; nothing for a model without one. */
export function toTextConfiguration(text: TextDescription): { text_cfg?: Record<string, unknown> } {
  if (text.kind === 'none') return {};
  if (text.kind === 'other') return { text_cfg: text.configuration };
  const { contextLength, vocabularySize, width, heads, layers, mlpWidth, endOfText } = text;
  return {
    text_cfg: {
      context_length: contextLength,
      vocab_size: vocabularySize,
      width,
      heads,
      layers,
      // OpenCLIP truncates width × ratio: a quotient that rounds down would lose a channel.
      ...(mlpWidth === 4 * width ? {} : { mlp_ratio: (mlpWidth + 0.25) / width }),
      ...(endOfText === null ? {} : { pool_type: 'eos', eos_id: endOfText }),
    },
  };
}
