/** An engine cannot go on, or cannot start: the message says why and what to do. What is on disk is as it was. */
export class EngineError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EngineError';
  }
}
