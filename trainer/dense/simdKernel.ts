/**
 * The inner loop of K-Means and PCA as a WebAssembly function of about 200 bytes, written out below: four products a
 * step instead of one, which plain JavaScript has no means to ask for. Products are added in single precision.
 */

/** `(pointsStart, pointsEnd, vectorsStart, vectorsEnd, bytesOfARow, target)`, all byte addresses. */
export type Kernel = (
  points: number,
  pointsEnd: number,
  vectors: number,
  vectorsEnd: number,
  rowBytes: number,
  target: number,
) => void;

/** Instructions of the WebAssembly specification that the kernel uses. */
const localGet = (index: number): number[] => [0x20, index];
const localSet = (index: number): number[] => [0x21, index];
const i32Const = (value: number): number[] => [0x41, value];
const i32Add = [0x6a];
const i32LessUnsigned = [0x49];
const f32Add = [0x92];
const f32Store = (offset: number): number[] => [0x38, 2, offset];
const v128Load = [0xfd, 0x00, 2, 0];
const v128Zero = [0xfd, 0x0c, ...new Array<number>(16).fill(0)];
const f32x4Add = [0xfd, 0xe4, 0x01];
const f32x4Multiply = [0xfd, 0xe6, 0x01];
const f32x4Lane = (lane: number): number[] => [0xfd, 0x1f, lane];
const end = [0x0b];
/** Runs the body again while `variable < limit` at its end. */
const loopWhileLess = (variable: number, limit: number, body: number[]): number[] => [
  ...[0x03, 0x40],
  ...body,
  ...localGet(variable),
  ...localGet(limit),
  ...i32LessUnsigned,
  ...[0x0d, 0],
  ...end,
];

const i32Type = 0x7f;
const v128Type = 0x7b;
const names = { points: 0, pointsEnd: 1, vectors: 2, vectorsEnd: 3, rowBytes: 4, target: 5 } as const;
const [vector, channel, address, value, firstSum] = [6, 7, 8, 9, 10] as const;
const fourSums = [0, 1, 2, 3].map(index => firstSum + index);

const add = (variable: number, amount: number[]): number[] => [
  ...localGet(variable),
  ...amount,
  ...i32Add,
  ...localSet(variable),
];

/** Four channels of one point against four vectors. */
const fourByFour: number[] = [
  ...[...localGet(names.points), ...localGet(channel), ...i32Add, ...v128Load, ...localSet(value)],
  ...[...localGet(vector), ...localGet(channel), ...i32Add, ...localSet(address)],
  ...fourSums.flatMap(sum => [
    ...[...localGet(address), ...v128Load, ...localGet(value), ...f32x4Multiply],
    ...[...localGet(sum), ...f32x4Add, ...localSet(sum)],
    ...add(address, localGet(names.rowBytes)),
  ]),
  ...add(channel, i32Const(16)),
];

const storeSums: number[] = fourSums.flatMap((sum, index) => [
  ...localGet(names.target),
  ...[...localGet(sum), ...f32x4Lane(0), ...localGet(sum), ...f32x4Lane(1), ...f32Add],
  ...[...localGet(sum), ...f32x4Lane(2), ...f32Add, ...localGet(sum), ...f32x4Lane(3), ...f32Add],
  ...f32Store(4 * index),
]);

const nextFourVectors: number[] = [
  ...fourSums.flatMap(() => add(vector, localGet(names.rowBytes))),
  ...add(names.target, i32Const(16)),
];

const body: number[] = loopWhileLess(names.points, names.pointsEnd, [
  ...[...localGet(names.vectors), ...localSet(vector)],
  ...loopWhileLess(vector, names.vectorsEnd, [
    ...fourSums.flatMap(sum => [...v128Zero, ...localSet(sum)]),
    ...[...i32Const(0), ...localSet(channel)],
    ...loopWhileLess(channel, names.rowBytes, fourByFour),
    ...storeSums,
    ...nextFourVectors,
  ]),
  ...add(names.points, localGet(names.rowBytes)),
]);

/** Lengths in the format: seven bits a byte, lowest first. */
const length = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...length(value >>> 7)];
const section = (id: number, content: number[]): number[] => [id, ...length(content.length), ...content];

function moduleBytes(): Uint8Array<ArrayBuffer> {
  const locals = [3, ...[3, i32Type], ...[1, v128Type], ...[4, v128Type]];
  const code = [...locals, ...body, ...end];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 6, ...new Array<number>(6).fill(i32Type), 0]),
    // The memory comes from outside: import "m" "m", one page at least.
    ...section(2, [1, 1, 0x6d, 1, 0x6d, 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x6b, 0, 0]),
    ...section(10, [1, ...length(code.length), ...code]),
  ]);
}

/** What this module needs of the WebAssembly API, which the type libraries of Node and browsers describe apart. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}
interface WasmApi {
  Memory: new (size: { initial: number }) => WasmMemory;
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  Instance: new (compiled: object, imports: object) => { exports: { k: Kernel } };
}

let compiled: object | undefined;

/** The kernel and `bytes` of memory for it; null where WebAssembly is forbidden, lacks vectors or memory. */
export function simdKernel(bytes: number): { kernel: Kernel; memory: WasmMemory } | null {
  const api = (globalThis as unknown as { WebAssembly?: WasmApi }).WebAssembly;
  if (!api) return null;
  try {
    compiled ??= new api.Module(moduleBytes());
    const memory = new api.Memory({ initial: Math.ceil(bytes / 65536) });
    const { exports } = new api.Instance(compiled, { m: { m: memory } });
    return { kernel: exports.k, memory };
  } catch {
    return null;
  }
}
