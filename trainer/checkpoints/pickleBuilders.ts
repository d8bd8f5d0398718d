/** The whitelist: which names of Python's a checkpoint may mention, and what stands for their results here. */
import { elementCount, type TensorType } from './hostTensor.ts';
import {
  kindOf,
  PickleDictionary,
  PickleError,
  PickleGlobal,
  PickleModule,
  PickleStorage,
  PickleTensor,
  PickleTuple,
  type PickleValue,
} from './pickleValues.ts';

/** Element types of PyTorch's storage classes. */
const storageTypes: ReadonlyMap<string, TensorType> = new Map([
  ['torch.DoubleStorage', 'float64'],
  ['torch.FloatStorage', 'float32'],
  ['torch.HalfStorage', 'float16'],
  ['torch.BFloat16Storage', 'bfloat16'],
  ['torch.LongStorage', 'int64'],
  ['torch.IntStorage', 'int32'],
  ['torch.ShortStorage', 'int16'],
  ['torch.CharStorage', 'int8'],
  ['torch.ByteStorage', 'uint8'],
  ['torch.BoolStorage', 'bool'],
]);

/** PyTorch's names of element types, by ours. */
export const storageNames: ReadonlyMap<TensorType, string> = new Map(
  [...storageTypes].map(([name, type]) => [type, name.slice('torch.'.length)]),
);

/** As in the safetensors reader: deep shapes do not occur. */
const maximumRank = 64;

function fail(reason: string): never {
  throw new PickleError(reason);
}

function count(value: PickleValue | undefined, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  return fail(
    `${what} is ${typeof value === 'number' || typeof value === 'bigint' ? value : kindOf(value)}, not a count`,
  );
}

function counts(value: PickleValue | undefined, what: string): number[] {
  if (!(value instanceof PickleTuple)) return fail(`${what} is ${kindOf(value)}, not a tuple`);
  if (value.items.length > maximumRank) return fail(`${what} has more than ${maximumRank} numbers`);
  return value.items.map(item => count(item, what));
}

/** Number of elements, and the last element that a view touches; refuses views that leave or repeat their storage. */
function checkView(storage: PickleStorage, offset: number, shape: number[], strides: number[]): void {
  const described = `a tensor of shape [${shape.join(', ')}], strides [${strides.join(', ')}] and offset ${offset}`;
  if (shape.length !== strides.length) fail(`${described} does not have one stride for each dimension`);
  if (shape.includes(0)) {
    // A zero must not hide other lengths that leave the range of exact integers.
    if (!Number.isSafeInteger(elementCount(shape.filter(length => length > 0))))
      fail(`${described} is absurd`);
    return;
  }
  const last = shape.reduce((sum, length, axis) => sum + (length - 1) * strides[axis]!, offset);
  if (!(last < storage.length) || !(elementCount(shape) <= storage.length))
    fail(`${described} does not fit its storage '${storage.key}' of ${storage.length} elements`);
}

/** `torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`. */
function buildTensor(items: readonly PickleValue[]): PickleTensor {
  const [storage] = items;
  if (!(storage instanceof PickleStorage))
    return fail(`a tensor is built from ${kindOf(storage)}, not a storage`);
  const offset = count(items[1], 'the offset of a tensor');
  const shape = counts(items[2], 'the shape of a tensor');
  const strides = counts(items[3], 'the strides of a tensor');
  checkView(storage, offset, shape, strides);
  return new PickleTensor(storage, offset, shape, strides);
}

/** `torch._utils._rebuild_parameter(tensor, requires_grad, hooks)`. */
function buildParameter([tensor]: readonly PickleValue[]): PickleTensor {
  return tensor instanceof PickleTensor ? tensor : fail(`a parameter is built from ${kindOf(tensor)}`);
}

/** `OrderedDict()`; its items follow by themselves. */
function buildDictionary(items: readonly PickleValue[]): PickleDictionary {
  // Copying given pairs would let a small file ask for much memory, and PyTorch never writes them so.
  return items.length === 0 ? new PickleDictionary() : fail('an OrderedDict is built from a value');
}

const firstItem = ([item]: readonly PickleValue[]): PickleValue => item ?? null;

type Builder = (items: readonly PickleValue[]) => PickleValue;

const builders: ReadonlyMap<string, Builder> = new Map<string, Builder>([
  ['collections.OrderedDict', buildDictionary],
  ['torch._utils._rebuild_tensor_v2', buildTensor],
  ['torch._utils._rebuild_parameter', buildParameter],
  ['torch.Size', firstItem],
  // Lists with a known element type, as TorchScript writes them.
  ['torch.jit._pickle.build_intlist', firstItem],
  ['torch.jit._pickle.build_doublelist', firstItem],
  ['torch.jit._pickle.build_boollist', firstItem],
  ['torch.jit._pickle.build_tensorlist', firstItem],
  ['torch.jit._pickle.restore_type_tag', firstItem],
]);

const isModule = ({ module }: PickleGlobal): boolean =>
  module === '__torch__' || module.startsWith('__torch__.');

/** A name that the pickle mentions, refused unless the whitelist holds it. */
export function findGlobal(module: string, name: string, allowModules: boolean): PickleGlobal {
  const found = new PickleGlobal(module, name);
  const key = found.toString();
  if (builders.has(key) || storageTypes.has(key) || (allowModules && isModule(found))) return found;
  const shown = key.length > 120 ? `${key.slice(0, 117)}…` : key;
  return fail(`it asks for '${shown}', which is none of the names that weights need`);
}

/** Stands for a call of a whitelisted name. */
export function build(callable: PickleValue, args: PickleValue): PickleValue {
  if (!(args instanceof PickleTuple)) return fail(`a call takes ${kindOf(args)} instead of a tuple`);
  const builder = callable instanceof PickleGlobal ? builders.get(callable.toString()) : undefined;
  if (!builder) return fail(`it calls ${kindOf(callable)}`);
  return builder(args.items);
}

/** Stands for the creation of an object. */
export function buildObject(type: PickleValue, args: PickleValue): PickleValue {
  if (type instanceof PickleGlobal && isModule(type)) return new PickleModule();
  return build(type, args);
}

/** Stands for `__setstate__`. The extra attributes of an OrderedDict (`_metadata`) carry no tensors. */
export function setState(target: PickleValue | undefined, state: PickleValue): void {
  if (target instanceof PickleDictionary) return;
  if (!(target instanceof PickleModule)) fail(`it sets the state of ${kindOf(target)}`);
  if (!(state instanceof PickleDictionary)) fail(`the state of a module is ${kindOf(state)}`);
  target.attributes = state.items;
}

/** The persistent id of a storage: `('storage', class, key, device, elements)`. */
export function findStorage(id: PickleValue): PickleStorage {
  const [kind, type, key, , length] = id instanceof PickleTuple ? id.items : [];
  if (kind !== 'storage' || typeof key !== 'string')
    return fail('it refers to something else than a storage');
  const dtype = type instanceof PickleGlobal ? storageTypes.get(type.toString()) : undefined;
  if (!dtype) return fail(`storage '${key.slice(0, 60)}' has ${kindOf(type)} as its type`);
  return new PickleStorage(key, dtype, count(length, `the length of storage '${key.slice(0, 60)}'`));
}
