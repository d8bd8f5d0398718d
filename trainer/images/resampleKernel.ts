/**
 * The inner loops of bicubic resampling and of normalisation as WebAssembly of a few hundred bytes, written out below: sums of
 * four values at a time in the same 32-bit integers and float32 operations in the same order, so that every bit is that of the
 * plain loops in `resample.ts` and `normalise.ts`.
 */

/** Byte addresses, but for counts. The input is [rows, inputBytes] of RGB, the output [rows, outputs, 3]. */
type RowsKernel = (
  input: number,
  inputBytes: number,
  rows: number,
  starts: number,
  counts: number,
  weights: number,
  strideBytes: number,
  outputs: number,
  output: number,
) => void;
/** One output row from `taps` input rows of `rowBytes`, 16 values at a time up to or beyond `outputEnd`. */
type ColumnsKernel = (
  input: number,
  rowBytes: number,
  taps: number,
  weights: number,
  output: number,
  outputEnd: number,
) => void;

/**
 * RGB from `input` up to `inputEnd`, 16 pixels at a time, to float32 in three planes: each value divided by the constant 255,
 * less its channel's mean, divided by its standard deviation; `constants` holds these seven float32.
 */
type NormaliseKernel = (
  input: number,
  inputEnd: number,
  red: number,
  green: number,
  blue: number,
  constants: number,
) => void;

const leb = (value: number): number[] => {
  const low = value & 0x7f;
  const rest = value >> 7;
  const isDone = (rest === 0 && !(low & 0x40)) || (rest === -1 && (low & 0x40) !== 0);
  return isDone ? [low] : [low | 0x80, ...leb(rest)];
};
/** Lengths in the format: seven bits a byte, lowest first. */
const length = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...length(value >>> 7)];

/** Instructions of the WebAssembly specification that the kernels use. */
const get = (index: number): number[] => [0x20, index];
const set = (index: number): number[] => [0x21, index];
const constant = (value: number): number[] => [0x41, ...leb(value)];
const add = [0x6a];
const i32Load = [0x28, 2, 0];
const lessUnsigned = [0x49];
const vector = (opcode: number): number[] => [0xfd, ...length(opcode)];
const v128Load = [...vector(0x00), 0, 0];
const load32Zero = [...vector(0x5c), 0, 0];
const load32Splat = [...vector(0x09), 2, 0];
const v128Store = [...vector(0x0b), 0, 0];
const store32Lane0 = [...vector(0x5a), 0, 0, 0];
const splat = vector(0x11);
const bytesLow = vector(0x89);
const bytesHigh = vector(0x8a);
const halvesLow = vector(0xa9);
const halvesHigh = vector(0xaa);
const add4 = vector(0xae);
const multiply4 = vector(0xb5);
const shiftRight4 = vector(0xac);
const narrowToHalves = vector(0x85);
const narrowToBytes = vector(0x66);
const convert4 = vector(0xfb);
const subtract4 = vector(0xe5);
const divide4 = vector(0xe7);
const shuffle = (lanes: readonly number[]): number[] => [...vector(0x0d), ...lanes];
const v128LoadAt = (offset: number): number[] => [...vector(0x00), 0, offset];
const v128StoreAt = (offset: number): number[] => [...vector(0x0b), 0, offset];
const load32SplatAt = (offset: number): number[] => [...vector(0x09), 2, offset];
const increase = (variable: number, by: number[]): number[] => [
  ...get(variable),
  ...by,
  ...add,
  ...set(variable),
];
/** Runs the body again while `variable < limit` at its end. */
const loopWhileLess = (variable: number, limit: number[], body: number[]): number[] => [
  ...[0x03, 0x40],
  ...body,
  ...[...get(variable), ...limit, ...lessUnsigned, 0x0d, 0, 0x0b],
];

const precisionBits = 22;
const rounding = [...constant(1 << (precisionBits - 1)), ...splat];
const shifted = (sum: number): number[] => [...get(sum), ...constant(precisionBits), ...shiftRight4];

function rowsBody(): number[] {
  const [input, inputBytes, rows, starts, counts, weights, strideBytes, outputs, output] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8,
  ] as const;
  const [row, column, source, tap, tapEnd, weightRow, sum] = [9, 10, 11, 12, 13, 14, 15] as const;
  const at = (table: number): number[] => [...get(table), ...get(column), ...add, ...i32Load];
  const pixel = [...get(source), ...load32Zero, ...bytesLow, ...halvesLow];
  const oneTap = [
    ...[...pixel, ...get(tap), ...load32Splat, ...multiply4, ...get(sum), ...add4, ...set(sum)],
    ...increase(source, constant(3)),
    ...increase(tap, constant(4)),
  ];
  const oneColumn = [
    ...[...rounding, ...set(sum)],
    ...[...get(input), ...at(starts), ...add, ...set(source)],
    ...[...get(weightRow), ...set(tap), ...get(weightRow), ...at(counts), ...add, ...set(tapEnd)],
    ...loopWhileLess(tap, get(tapEnd), oneTap),
    ...[...shifted(sum), ...set(sum), ...get(output)],
    ...[...get(sum), ...get(sum), ...narrowToHalves, ...get(sum), ...narrowToBytes, ...store32Lane0],
    ...increase(output, constant(3)),
    ...increase(weightRow, get(strideBytes)),
    ...increase(column, constant(4)),
  ];
  return [
    ...[...constant(0), ...set(row)],
    ...loopWhileLess(row, get(rows), [
      ...[...constant(0), ...set(column), ...get(weights), ...set(weightRow)],
      ...loopWhileLess(column, get(outputs), oneColumn),
      ...increase(input, get(inputBytes)),
      ...increase(row, constant(1)),
    ]),
  ];
}

function columnsBody(): number[] {
  const [input, rowBytes, taps, weights, output, outputEnd] = [0, 1, 2, 3, 4, 5] as const;
  const [source, tap, weightAt, values, weight] = [6, 7, 8, 9, 10] as const;
  const sums = [11, 12, 13, 14] as const;
  const oneTap = [
    ...[...get(source), ...v128Load, ...set(values), ...get(weightAt), ...load32Splat, ...set(weight)],
    ...sums.flatMap((sum, quarter) => [
      ...[...get(values), ...quarters[quarter]!, ...get(weight), ...multiply4],
      ...[...get(sum), ...add4, ...set(sum)],
    ]),
    ...increase(source, get(rowBytes)),
    ...increase(weightAt, constant(4)),
    ...increase(tap, constant(1)),
  ];
  const [a, b, c, d] = sums;
  return loopWhileLess(output, get(outputEnd), [
    ...sums.flatMap(sum => [...rounding, ...set(sum)]),
    ...[...get(input), ...set(source), ...constant(0), ...set(tap), ...get(weights), ...set(weightAt)],
    ...loopWhileLess(tap, get(taps), oneTap),
    ...get(output),
    ...[...shifted(a), ...shifted(b), ...narrowToHalves, ...shifted(c), ...shifted(d), ...narrowToHalves],
    ...[...narrowToBytes, ...v128Store],
    ...increase(input, constant(16)),
    ...increase(output, constant(16)),
  ]);
}

const quarters = [
  [...bytesLow, ...halvesLow],
  [...bytesLow, ...halvesHigh],
  [...bytesHigh, ...halvesLow],
  [...bytesHigh, ...halvesHigh],
] as const;

function normaliseBody(): number[] {
  const [input, inputEnd, constants] = [0, 1, 5] as const;
  const [a, b, c, bytes] = [6, 7, 8, 9] as const;
  const places = Array.from({ length: 16 }, (_, pixel) => pixel);
  /** The 16 values of a channel among the 48 bytes of a, b and c. */
  const gathered = (channel: number): number[] => {
    const fromFirst = places.map(pixel => (3 * pixel + channel < 32 ? 3 * pixel + channel : 0));
    const withLast = places.map(pixel => (3 * pixel + channel < 32 ? pixel : 3 * pixel + channel - 16));
    return [...get(a), ...get(b), ...shuffle(fromFirst), ...get(c), ...shuffle(withLast), ...set(bytes)];
  };
  const operand = (offset: number): number[] => [...get(constants), ...load32SplatAt(offset)];
  const channels = [0, 1, 2].flatMap(channel => [
    ...gathered(channel),
    ...quarters.flatMap((quarter, index) => [
      ...[...get(2 + channel), ...get(bytes), ...quarter, ...convert4],
      ...[...operand(0), ...divide4, ...operand(4 + 8 * channel), ...subtract4],
      ...[...operand(8 + 8 * channel), ...divide4, ...v128StoreAt(16 * index)],
    ]),
    ...increase(2 + channel, constant(64)),
  ]);
  return loopWhileLess(input, get(inputEnd), [
    ...[...get(input), ...v128LoadAt(0), ...set(a), ...get(input), ...v128LoadAt(16), ...set(b)],
    ...[...get(input), ...v128LoadAt(32), ...set(c)],
    ...channels,
    ...increase(input, constant(48)),
  ]);
}

function moduleBytes(): Uint8Array<ArrayBuffer> {
  const [i32, v128] = [0x7f, 0x7b];
  const section = (id: number, content: number[]): number[] => [id, ...length(content.length), ...content];
  const type = (parameters: number): number[] => [
    0x60,
    parameters,
    ...new Array<number>(parameters).fill(i32),
    0,
  ];
  const code = (locals: number[], body: number[]): number[] => {
    const content = [...locals, ...body, 0x0b];
    return [...length(content.length), ...content];
  };
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [2, ...type(9), ...type(6)]),
    // The memory comes from outside: import "m" "m", one page at least.
    ...section(2, [1, 1, 0x6d, 1, 0x6d, 2, 0, 1]),
    ...section(3, [3, 0, 1, 1]),
    // Exports "r", "c" and "n".
    ...section(7, [3, 1, 0x72, 0, 0, 1, 0x63, 0, 1, 1, 0x6e, 0, 2]),
    ...section(10, [
      3,
      ...code([2, 6, i32, 1, v128], rowsBody()),
      ...code([2, 3, i32, 6, v128], columnsBody()),
      ...code([1, 4, v128], normaliseBody()),
    ]),
  ]);
}

interface WasmApi {
  Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  Instance: new (
    compiled: object,
    imports: object,
  ) => {
    exports: { r: RowsKernel; c: ColumnsKernel; n: NormaliseKernel };
  };
}

export interface ResampleKernel {
  rows: RowsKernel;
  columns: ColumnsKernel;
  normalise: NormaliseKernel;
  /** Memory of at least so many bytes, what it held being of no account. */
  memory(bytes: number): ArrayBuffer;
}

const pageBytes = 65536;

function createKernel(): ResampleKernel | null {
  const api = (globalThis as unknown as { WebAssembly?: WasmApi }).WebAssembly;
  if (!api) return null;
  try {
    const memory = new api.Memory({ initial: 1 });
    const { exports } = new api.Instance(new api.Module(moduleBytes()), { m: { m: memory } });
    return {
      rows: exports.r,
      columns: exports.c,
      normalise: exports.n,
      memory: bytes => {
        const missing = Math.ceil((bytes - memory.buffer.byteLength) / pageBytes);
        if (missing > 0) memory.grow(missing);
        return memory.buffer;
      },
    };
  } catch {
    return null;
  }
}

let kernel: ResampleKernel | null | undefined;

/** Null where WebAssembly is forbidden or lacks vectors. */
export function resampleKernel(): ResampleKernel | null {
  if (kernel === undefined) kernel = createKernel();
  return kernel;
}
