import { PickleError } from './pickleValues.ts';

const maximumLongBytes = 32;

/** The bytes of a pickle, read in order. */
export class ByteReader {
  readonly #bytes: Buffer;
  position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  take(length: number): Buffer {
    const end = this.position + length;
    if (!(end <= this.#bytes.length))
      throw new PickleError('the pickle ends in the middle of an instruction');
    const taken = this.#bytes.subarray(this.position, end);
    this.position = end;
    return taken;
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  uint16(): number {
    return this.take(2).readUInt16LE();
  }

  int32(): number {
    return this.take(4).readInt32LE();
  }

  uint32(): number {
    return this.take(4).readUInt32LE();
  }

  length64(): number {
    return Number(this.take(8).readBigUInt64LE());
  }

  text(length: number): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.take(length));
    } catch (error) {
      if (error instanceof PickleError) throw error;
      throw new PickleError('a string of the pickle is not UTF-8');
    }
  }

  /** Up to the end of the line, which is consumed. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.position);
    if (end < 0) throw new PickleError('a name in the pickle does not end');
    const line = this.text(end - this.position);
    this.position++;
    return line;
  }

  /** A two's complement integer. */
  long(length: number): number | bigint {
    if (length > maximumLongBytes) throw new PickleError(`it holds an integer of ${length} bytes`);
    const bytes = this.take(length);
    let value = 0n;
    for (let index = length - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[index]!);
    value = BigInt.asIntN(length * 8, value);
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }
}
