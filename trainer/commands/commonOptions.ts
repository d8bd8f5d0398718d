/** Options that mean the same in several commands, for `parseArgs`. */

/** Of a command that takes any model, or checkpoint of a run. */
export const modelOptions = {
  model: { type: 'string' },
  arch: { type: 'string' },
  step: { type: 'string' },
} as const;

/** Of a command that computes with an engine. */
export const engineOptions = {
  engine: { type: 'string', default: 'auto' },
  threads: { type: 'string', default: '0' },
} as const;

/** Of every command. */
export const outputOptions = {
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;
