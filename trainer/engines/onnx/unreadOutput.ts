import type { OnnxNode, OnnxValueInfo } from './schema.ts';

/**
 * onnxruntime-node copies every result once more after a run, into memory new to the process, although it was written
 * into the array it was given: a tenth of a training step. The copies are made in the order of the model's outputs, and
 * a sequence is none that it can read. A model whose first output is an empty sequence is refused there, when all
 * results stand in their arrays. A binding that reads sequences, or copies nothing, gives the same results.
 */
export const unreadOutput = 'unread:results';

/** The node and the description of the output; the output comes before every other. */
export const unreadNode: OnnxNode = {
  opType: 'SequenceEmpty',
  name: unreadOutput,
  input: [],
  output: [unreadOutput],
  attribute: [],
};

export const unreadDescription: OnnxValueInfo = {
  name: unreadOutput,
  elementType: 1,
  shape: null,
  sequence: true,
};

/** Whether a run ended with the refusal, after everything was computed. */
export const isRefusalToRead = (error: unknown): boolean =>
  error instanceof Error && error.message.includes('Non tensor type is temporarily not supported');
