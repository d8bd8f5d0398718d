/** An image file that cannot be used: which one and why. `message` is `<file>: <reason>`. */
export class ImageError extends Error {
  readonly file: string;
  readonly reason: string;

  constructor(file: string, reason: string) {
    super(`${file}: ${reason}`);
    this.name = 'ImageError';
    this.file = file;
    this.reason = reason;
  }
}
