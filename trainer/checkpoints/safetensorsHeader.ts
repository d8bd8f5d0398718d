import { elementBytes, type TensorType } from './hostTensor.ts';

/** Where one tensor lies in a safetensors file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: TensorType;
  readonly shape: readonly number[];
  /** First byte and the byte after the last, counted from the start of the data. */
  readonly begin: number;
  readonly end: number;
}

/** What the JSON header of a safetensors file says. */
export interface HeaderContent {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Names of element types in the file format. */
const typesByCode: ReadonlyMap<string, TensorType> = new Map([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['U64', 'uint64'],
  ['I32', 'int32'],
  ['U32', 'uint32'],
  ['I16', 'int16'],
  ['U16', 'uint16'],
  ['I8', 'int8'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
]);

/** Code of an element type in the file format. */
export const typeCodes: ReadonlyMap<TensorType, string> = new Map(
  [...typesByCode].map(([code, type]) => [type, code]),
);

/** A name as messages show it: quoted, control characters escaped, not longer than a line. */
export function quoted(name: string): string {
  const text = JSON.stringify(name);
  return text.length > 120 ? `${text.slice(0, 117)}…"` : text;
}

/** Deep shapes do not occur; the bound keeps a hostile header from costing memory. */
const maximumRank = 64;

/**
 * Reads exactly the grammar of a safetensors header and nothing more of JSON: memory stays in proportion to the
 * header, nesting is impossible and a name given twice is seen, none of which JSON.parse promises.
 */
class HeaderScanner {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  fail(reason: string): never {
    throw new SyntaxError(`${reason} at character ${this.#position} of the header`);
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#position);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#position++;
    }
  }

  /** Consumes `symbol` if it comes next. */
  accept(symbol: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#position] !== symbol) return false;
    this.#position++;
    return true;
  }

  expect(symbol: string): void {
    if (!this.accept(symbol)) this.fail(`expected '${symbol}'`);
  }

  end(): void {
    this.#skipSpace();
    if (this.#position !== this.#text.length) this.fail('unexpected text');
  }

  string(): string {
    this.expect('"');
    const start = this.#position - 1;
    for (;;) {
      const code = this.#text.charCodeAt(this.#position++);
      if (Number.isNaN(code)) this.fail('a string does not end');
      if (code === 0x5c) this.#position++;
      else if (code === 0x22) break;
    }
    try {
      return JSON.parse(this.#text.slice(start, this.#position)) as string;
    } catch {
      return this.fail('a string is malformed');
    }
  }

  /** A non-negative integer that a double holds exactly. */
  integer(): number {
    this.#skipSpace();
    const start = this.#position;
    while (this.#text[this.#position]! >= '0' && this.#text[this.#position]! <= '9') this.#position++;
    const digits = this.#text.slice(start, Math.min(this.#position, start + 20));
    const value = Number(digits);
    if (digits === '' || (digits.length > 1 && digits[0] === '0') || !Number.isSafeInteger(value)) {
      this.fail('expected a non-negative integer below 2^53');
    }
    return value;
  }

  integers(most: number): number[] {
    const values: number[] = [];
    this.expect('[');
    if (this.accept(']')) return values;
    do {
      if (values.length === most) this.fail(`more than ${most} numbers`);
      values.push(this.integer());
    } while (this.accept(','));
    this.expect(']');
    return values;
  }

  /** Calls `member` for each key of an object; it must consume the value. */
  object(member: (key: string) => void): void {
    const seen = new Set<string>();
    this.expect('{');
    if (this.accept('}')) return;
    do {
      const key = this.string();
      if (seen.has(key)) this.fail(`${quoted(key)} is there twice`);
      seen.add(key);
      this.expect(':');
      member(key);
    } while (this.accept(','));
    this.expect('}');
  }
}

function scanMetadata(scanner: HeaderScanner): Record<string, string> {
  const entries: [string, string][] = [];
  scanner.object(key => entries.push([key, scanner.string()]));
  return Object.fromEntries(entries);
}

/** Bytes of a tensor; not a safe integer when the shape is absurd. */
function byteLength(dtype: TensorType, shape: readonly number[]): number {
  let bytes = elementBytes[dtype];
  for (const dimension of shape) {
    bytes *= dimension;
    // A later zero must not hide a product that left the range of exact integers.
    if (!Number.isSafeInteger(bytes)) return Number.NaN;
  }
  return bytes;
}

function scanEntry(scanner: HeaderScanner, name: string): TensorEntry {
  let code: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  scanner.object(key => {
    if (key === 'dtype') code = scanner.string();
    else if (key === 'shape') shape = scanner.integers(maximumRank);
    else if (key === 'data_offsets') offsets = scanner.integers(2);
    else scanner.fail(`unknown field ${quoted(key)} of tensor ${quoted(name)}`);
  });
  if (code === undefined || shape === undefined || offsets?.length !== 2) {
    return scanner.fail(`tensor ${quoted(name)} lacks dtype, shape or data_offsets`);
  }
  const dtype = typesByCode.get(code);
  if (dtype === undefined)
    return scanner.fail(`tensor ${quoted(name)} has dtype ${quoted(code)}, which is not supported,`);
  const [begin, end] = offsets as [number, number];
  if (end - begin !== byteLength(dtype, shape)) {
    scanner.fail(
      `tensor ${quoted(name)} spans bytes ${begin} to ${end}, which does not fit ${code} of shape [${shape.join(', ')}],`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** The format's rule: the tensors tile the data from the first byte to the last, no overlap and no hole. */
function checkTiling(tensors: Iterable<TensorEntry>, dataBytes: number): void {
  let position = 0;
  for (const entry of [...tensors].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (entry.begin !== position) {
      const problem = entry.begin < position ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw new SyntaxError(`tensor ${quoted(entry.name)} ${problem}`);
    }
    position = entry.end;
  }
  if (position > dataBytes)
    throw new SyntaxError(`the file is cut short: ${position - dataBytes} bytes are missing`);
  if (position < dataBytes)
    throw new SyntaxError(`${dataBytes - position} bytes at the end belong to no tensor`);
}

/**
 * Parses and validates the header text of a safetensors file.
 *
 * @param dataBytes Bytes of the file after the header.
 * @throws SyntaxError naming the reason.
 */
export function parseSafetensorsHeader(text: string, dataBytes: number): HeaderContent {
  const scanner = new HeaderScanner(text);
  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  scanner.object(key => {
    if (key === '__metadata__') metadata = scanMetadata(scanner);
    else tensors.set(key, scanEntry(scanner, key));
  });
  scanner.end();
  checkTiling(tensors.values(), dataBytes);
  return { tensors, metadata };
}
