/**
 * Python's pickle format as a language of data: builds tensors, numbers, strings, bytes, dicts, lists and tuples, and
 * refuses everything else by name. The opcodes are those of Python's pickletools, protocols 2 to 5; nothing that a
 * file says is ever looked up, imported or called.
 */

import { build, buildObject, findGlobal, findStorage, setState } from './pickleBuilders.ts';
import { ByteReader } from './pickleBytes.ts';
import { opcode, refusedOpcodes } from './pickleOpcodes.ts';
import {
  kindOf,
  PickleDictionary,
  PickleError,
  PickleList,
  PickleTuple,
  type PickleValue,
} from './pickleValues.ts';

/** The largest published checkpoints build some fifty thousand objects; the bound keeps a hostile file small. */
const maximumObjects = 500_000;
const maximumStack = 500_000;
const maximumMemo = 500_000;

export interface PickleOptions {
  /** Accept the modules of a TorchScript archive, as bags of attributes. */
  allowModules?: boolean;
}

class PickleMachine {
  readonly #reader: ByteReader;
  readonly #allowModules: boolean;
  readonly #stack: PickleValue[] = [];
  /** Stack heights at which open MARKs lie. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #objects = 0;

  constructor(bytes: Uint8Array, { allowModules = false }: PickleOptions) {
    this.#reader = new ByteReader(bytes);
    this.#allowModules = allowModules;
  }

  run(): PickleValue {
    for (;;) {
      const code = this.#reader.byte();
      if (code === opcode.stop) return this.#pop();
      this.#step(code);
    }
  }

  #push(value: PickleValue): void {
    if (this.#stack.length >= maximumStack) throw new PickleError('its stack grows without end');
    this.#stack.push(value);
  }

  /** Pushes a value that takes memory of its own. */
  #create(value: PickleValue): void {
    if (++this.#objects > maximumObjects)
      throw new PickleError(`it builds more than ${maximumObjects} objects`);
    this.#push(value);
  }

  #pop(): PickleValue {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length <= floor) throw new PickleError('an instruction of the pickle lacks its operand');
    return this.#stack.pop()!;
  }

  #popToMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw new PickleError('an instruction of the pickle lacks its mark');
    return this.#stack.splice(mark);
  }

  #top(): PickleValue {
    const value = this.#pop();
    this.#stack.push(value);
    return value;
  }

  #tuple(length: number): void {
    const items = Array.from({ length }, () => this.#pop()).reverse();
    this.#create(new PickleTuple(items));
  }

  #remember(index: number): void {
    if (this.#memo.size >= maximumMemo) throw new PickleError(`it remembers more than ${maximumMemo} values`);
    this.#memo.set(index, this.#top());
  }

  #recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw new PickleError(`it recalls value ${index}, which it never stored`);
    this.#push(value);
  }

  #append(items: readonly PickleValue[]): void {
    const list = this.#top();
    if (!(list instanceof PickleList)) throw new PickleError(`it appends to ${kindOf(list)}`);
    for (const item of items) list.items.push(item);
  }

  #setItems(items: readonly PickleValue[]): void {
    const dictionary = this.#top();
    if (!(dictionary instanceof PickleDictionary))
      throw new PickleError(`it sets an item of ${kindOf(dictionary)}`);
    if (items.length % 2 !== 0) throw new PickleError('a dict has a key without a value');
    for (let index = 0; index < items.length; index += 2)
      dictionary.items.set(items[index]!, items[index + 1]!);
  }

  #global(module: string, name: string): void {
    this.#create(findGlobal(module, name, this.#allowModules));
  }

  #stackGlobal(): void {
    const [name, module] = [this.#pop(), this.#pop()];
    if (typeof name !== 'string' || typeof module !== 'string')
      throw new PickleError('it names something by other than strings');
    this.#global(module, name);
  }

  #call(using: (callable: PickleValue, args: PickleValue) => PickleValue): void {
    const [args, callable] = [this.#pop(), this.#pop()];
    this.#create(using(callable, args));
  }

  #protocol(version: number): void {
    if (version < 2 || version > 5) throw new PickleError(`its protocol ${version} is not supported`);
  }

  #step(code: number): void {
    if (!this.#number(code) && !this.#text(code) && !this.#structure(code) && !this.#memoStep(code))
      this.#object(code);
  }

  #number(code: number): boolean {
    const reader = this.#reader;
    if (code === opcode.uint8) this.#push(reader.byte());
    else if (code === opcode.uint16) this.#push(reader.uint16());
    else if (code === opcode.int32) this.#push(reader.int32());
    else if (code === opcode.long) this.#push(reader.long(reader.byte()));
    else if (code === opcode.longLong) this.#push(reader.long(reader.uint32()));
    else if (code === opcode.float64) this.#push(reader.take(8).readDoubleBE());
    else if (code === opcode.none) this.#push(null);
    else if (code === opcode.true) this.#push(true);
    else if (code === opcode.false) this.#push(false);
    else return false;
    return true;
  }

  #text(code: number): boolean {
    const reader = this.#reader;
    if (code === opcode.text) this.#create(reader.text(reader.uint32()));
    else if (code === opcode.shortText) this.#create(reader.text(reader.byte()));
    else if (code === opcode.longText) this.#create(reader.text(reader.length64()));
    // The str of Python 2.
    else if (code === opcode.shortString) this.#create(reader.take(reader.byte()).toString('latin1'));
    else if (code === opcode.string) this.#create(reader.take(reader.uint32()).toString('latin1'));
    else if (code === opcode.shortBytes) this.#create(Uint8Array.from(reader.take(reader.byte())));
    else if (code === opcode.bytes) this.#create(Uint8Array.from(reader.take(reader.uint32())));
    else if (code === opcode.longBytes) this.#create(Uint8Array.from(reader.take(reader.length64())));
    else return false;
    return true;
  }

  #structure(code: number): boolean {
    if (code === opcode.mark) this.#mark();
    else if (code === opcode.emptyTuple) this.#tuple(0);
    else if (code === opcode.tuple1) this.#tuple(1);
    else if (code === opcode.tuple2) this.#tuple(2);
    else if (code === opcode.tuple3) this.#tuple(3);
    else if (code === opcode.tuple) this.#create(new PickleTuple(this.#popToMark()));
    else if (code === opcode.list) this.#create(new PickleList());
    else if (code === opcode.dictionary) this.#create(new PickleDictionary());
    else if (code === opcode.append) this.#append([this.#pop()]);
    else if (code === opcode.appends) this.#append(this.#popToMark());
    else if (code === opcode.setItem) this.#setItems([this.#pop(), this.#pop()].reverse());
    else if (code === opcode.setItems) this.#setItems(this.#popToMark());
    else return false;
    return true;
  }

  #mark(): void {
    if (this.#marks.length >= maximumStack) throw new PickleError('its stack grows without end');
    this.#marks.push(this.#stack.length);
  }

  #memoStep(code: number): boolean {
    const reader = this.#reader;
    if (code === opcode.put) this.#remember(reader.byte());
    else if (code === opcode.longPut) this.#remember(reader.uint32());
    else if (code === opcode.memoise) this.#remember(this.#memo.size);
    else if (code === opcode.get) this.#recall(reader.byte());
    else if (code === opcode.longGet) this.#recall(reader.uint32());
    else if (code === opcode.duplicate) this.#push(this.#top());
    else if (code === opcode.pop) this.#pop();
    else if (code === opcode.popMark) this.#popToMark();
    else if (code === opcode.protocol) this.#protocol(reader.byte());
    // FRAME only helps readers of streams.
    else if (code === opcode.frame) reader.take(8);
    else return false;
    return true;
  }

  #object(code: number): void {
    const reader = this.#reader;
    if (code === opcode.global) this.#global(reader.line(), reader.line());
    else if (code === opcode.stackGlobal) this.#stackGlobal();
    else if (code === opcode.call) this.#call(build);
    else if (code === opcode.newObject) this.#call(buildObject);
    else if (code === opcode.storage) this.#create(findStorage(this.#pop()));
    else if (code === opcode.build) {
      const state = this.#pop();
      setState(this.#top(), state);
    } else {
      const name = refusedOpcodes.get(code) ?? 'unknown';
      throw new PickleError(
        `it uses the pickle instruction 0x${code.toString(16)} (${name}), which weights do not need`,
      );
    }
  }
}

/**
 * Reads a pickle.
 *
 * @throws PickleError naming the reason; never anything else, whatever the bytes.
 */
export function readPickle(bytes: Uint8Array, options: PickleOptions = {}): PickleValue {
  return new PickleMachine(bytes, options).run();
}
