import type { TensorType } from './hostTensor.ts';

/** What a pickle may hold; anything else is refused while it is read. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleTuple
  | PickleList
  | PickleDictionary
  | PickleGlobal
  | PickleModule
  | PickleStorage
  | PickleTensor;

export class PickleTuple {
  readonly items: readonly PickleValue[];

  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

export class PickleList {
  readonly items: PickleValue[] = [];
}

/** A dict or an OrderedDict: Python keeps the order of insertion in both. */
export class PickleDictionary {
  readonly items = new Map<PickleValue, PickleValue>();
}

/** A name of Python's that the whitelist knows. It is a label here: nothing is looked up or called. */
export class PickleGlobal {
  readonly module: string;
  readonly name: string;

  constructor(module: string, name: string) {
    this.module = module;
    this.name = name;
  }

  toString(): string {
    return `${this.module}.${this.name}`;
  }
}

/** A module of a TorchScript archive: its attributes, without its code. */
export class PickleModule {
  attributes = new Map<PickleValue, PickleValue>();
}

/** A block of numbers that lies in its own entry of the archive. */
export class PickleStorage {
  readonly key: string;
  readonly dtype: TensorType;
  /** Number of elements. */
  readonly length: number;

  constructor(key: string, dtype: TensorType, length: number) {
    this.key = key;
    this.dtype = dtype;
    this.length = length;
  }
}

/** A view of a storage. `offset` and `strides` count elements. */
export class PickleTensor {
  readonly storage: PickleStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: PickleStorage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** Why a pickle was refused. The caller adds the file's name. */
export class PickleError extends Error {}

/** What a value is, for messages. */
export function kindOf(value: PickleValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (value instanceof PickleTuple) return 'a tuple';
  if (value instanceof PickleList) return 'a list';
  if (value instanceof PickleDictionary) return 'a dict';
  if (value instanceof PickleGlobal) return `the name '${value}'`;
  if (value instanceof PickleModule) return 'a module';
  if (value instanceof PickleStorage) return 'a storage';
  if (value instanceof PickleTensor) return 'a tensor';
  if (value instanceof Uint8Array) return 'bytes';
  return `a ${typeof value}`;
}
