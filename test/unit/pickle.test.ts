import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type PickleOptions, readPickle } from '../../trainer/checkpoints/pickle.ts';
import {
  PickleDictionary,
  PickleError,
  PickleList,
  PickleModule,
  PickleTensor,
  PickleTuple,
  type PickleValue,
} from '../../trainer/checkpoints/pickleValues.ts';
import { dictionary, global, integer, pickle, storage, tensor, text, tuple } from '../support/pickles.ts';

const refuses = (bytes: Uint8Array, pattern: RegExp, options: PickleOptions = {}): void =>
  assert.throws(
    () => readPickle(bytes, options),
    (error: unknown) => {
      assert.ok(error instanceof PickleError, `${String(error)} is not a PickleError`);
      assert.match(error.message, pattern);
      return true;
    },
  );

const repeated = (instructions: string, count: number): Buffer => Buffer.from(instructions.repeat(count));

describe('pickles', () => {
  it('reads numbers, texts, bytes and singletons', () => {
    const read = (...pieces: (Uint8Array | number)[]): PickleValue => readPickle(pickle(...pieces));
    assert.equal(read(0x4b, 200), 200);
    assert.equal(read(0x4d, 0x39, 0x30), 12345);
    assert.equal(read(integer(-5)), -5);
    assert.equal(read(0x8a, 1, 0xff), -1);
    assert.equal(read(0x8a, 0), 0);
    assert.equal(read(0x8a, 9, 0, 0, 0, 0, 0, 0, 0, 0x80, 0), 2n ** 63n);
    assert.equal(read(Buffer.from('G\u0040\u0009\u0021\u00fb\u0054\u0044\u002d\u0018', 'latin1')), Math.PI);
    assert.equal(read(text('Größe')), 'Größe');
    assert.equal(read(0x55, 2, 0x68, 0x69), 'hi');
    assert.deepEqual(read(0x43, 2, 0, 255), Uint8Array.of(0, 255));
    assert.deepEqual([read(0x4e), read(0x88), read(0x89)], [null, true, false]);
  });

  it('reads containers, shared values and the instructions of protocol 4', () => {
    const list = readPickle(pickle(Buffer.from(']q\u0000K\u0001aK\u0002a(K\u0003K\u0004e', 'latin1')));
    assert.ok(list instanceof PickleList);
    assert.deepEqual(list.items, [1, 2, 3, 4]);
    const pair = readPickle(pickle(Buffer.from(']\u0094h\u0000\u0086', 'latin1')));
    assert.ok(pair instanceof PickleTuple);
    assert.equal(pair.items[0], pair.items[1]);
    const ordered = readPickle(
      pickle(text('collections'), text('OrderedDict'), Buffer.from('\u0093)R', 'latin1')),
    );
    assert.ok(ordered instanceof PickleDictionary);
    const nested = readPickle(pickle(dictionary({ a: dictionary({ b: integer(1) }) })));
    assert.ok(nested instanceof PickleDictionary);
    const inner = nested.items.get('a');
    assert.ok(inner instanceof PickleDictionary);
    assert.equal(inner.items.get('b'), 1);
  });

  it('describes tensors without their numbers', () => {
    const value = readPickle(pickle(tensor(storage('7', 24, 'HalfStorage'), 2, [3, 4], [1, 5])));
    assert.ok(value instanceof PickleTensor);
    assert.deepEqual({ ...value.storage }, { key: '7', dtype: 'float16', length: 24 });
    assert.deepEqual([value.offset, value.shape, value.strides], [2, [3, 4], [1, 5]]);
    const parameter = Buffer.concat([
      global('torch._utils', '_rebuild_parameter'),
      tuple(tensor(storage('0', 4), 0, [4], [1]), Buffer.of(0x88)),
      Buffer.from('R'),
    ]);
    assert.ok(readPickle(pickle(parameter)) instanceof PickleTensor);
  });

  it('refuses every other name, and says which', () => {
    for (const [module, name] of [
      ['os', 'system'],
      ['posix', 'system'],
      ['builtins', 'eval'],
      ['__builtin__', 'exec'],
      ['numpy.core.multiarray', '_reconstruct'],
      ['torch', 'load'],
      ['torch._utils', '_rebuild_tensor_v2.__globals__'],
      ['collections', 'defaultdict'],
      ['__torch__', 'M'],
    ] as const) {
      const asked = new RegExp(`'${module}\\.${name.replaceAll('.', '\\.')}', which is none of the names`);
      refuses(pickle(global(module, name)), asked);
      refuses(pickle(text(module), text(name), 0x93), asked);
    }
    refuses(pickle(global('os', 'x'.repeat(5000))), /^it asks for 'os\.x{114}…'/);
  });

  it('calls nothing that is not a builder, and builds nothing from the wrong things', () => {
    refuses(pickle(text('os.system'), tuple(text('ls')), 0x52), /calls a string/);
    refuses(
      pickle(global('torch', 'FloatStorage'), tuple(integer(8)), 0x52),
      /calls the name 'torch\.FloatStorage'/,
    );
    refuses(pickle(global('collections', 'OrderedDict'), integer(1), 0x52), /a call takes a number/);
    refuses(pickle(tensor(integer(1), 0, [1], [1])), /built from a number, not a storage/);
    refuses(pickle(text('x'), dictionary({}), 0x62), /sets the state of a string/);
    refuses(pickle(text('module'), 0x51), /something else than a storage/);
    refuses(pickle(storage('0', 1, 'Size')), /has the name 'torch\.Size' as its type/);
    refuses(pickle(storage('0', -1)), /length of storage '0' is -1, not a count/);
  });

  it('refuses views that leave or repeat their storage', () => {
    const view = (offset: number, shape: number[], strides: number[]): Buffer =>
      pickle(tensor(storage('0', 24), offset, shape, strides));
    refuses(view(1, [24], [1]), /does not fit its storage '0' of 24 elements/);
    refuses(view(0, [6, 4], [5, 1]), /does not fit/);
    refuses(view(0, [100_000, 100_000], [0, 0]), /does not fit/);
    refuses(view(0, [2], [2 ** 31 - 1]), /does not fit/);
    refuses(view(-1, [1], [1]), /offset of a tensor is -1/);
    refuses(view(0, [-2], [1]), /shape of a tensor is -2/);
    refuses(view(0, [2, 2], [1]), /one stride for each dimension/);
    refuses(view(0, [0, 2 ** 31 - 1, 2 ** 31 - 1], [1, 1, 1]), /absurd/);
    refuses(view(0, new Array(65).fill(1), new Array(65).fill(1)), /more than 64 numbers/);
  });

  it('takes TorchScript modules as bags of attributes, and only when told', () => {
    const module = Buffer.concat([global('__torch__.a', 'M'), Buffer.from(')\x81', 'latin1')]);
    const bytes = pickle(module, dictionary({ x: integer(3) }), 0x62);
    refuses(bytes, /__torch__\.a\.M/);
    const value = readPickle(bytes, { allowModules: true });
    assert.ok(value instanceof PickleModule);
    assert.equal(value.attributes.get('x'), 3);
    refuses(pickle(module, integer(1), 0x62), /state of a module is a number/, { allowModules: true });
  });

  it('names instructions that weights do not need', () => {
    refuses(pickle(Buffer.from('(ios\nsystem\n')), /0x69 \(INST\)/);
    refuses(pickle(0x82, 1), /0x82 \(EXT1\)/);
    refuses(pickle(0x8f), /0x8f \(EMPTY_SET\)/);
    refuses(pickle(0xff), /0xff \(unknown\)/);
    refuses(Buffer.of(0x80, 9, 0x4e, 0x2e), /protocol 9/);
  });

  it('stays small whatever the pickle asks for', function () {
    this.timeout(30_000);
    refuses(pickle(repeated('}', 600_000)), /stack grows without end|builds more than/);
    refuses(pickle(repeated('}0', 600_000)), /builds more than 500000 objects/);
    refuses(pickle(repeated('(', 600_000)), /stack grows without end/);
    refuses(pickle(repeated('N2', 600_000)), /stack grows without end/);
    const memo = Buffer.alloc(5 * 600_000, Buffer.of(0x72, 0, 0, 0, 0));
    for (let index = 0; index < 600_000; index++) memo.writeUInt32LE(index, 5 * index + 1);
    refuses(pickle(0x4e, memo), /remembers more than 500000/);
    refuses(pickle(0x8d, 255, 255, 255, 255, 255, 255, 255, 127), /ends in the middle/);
    refuses(pickle(0x58, 255, 255, 255, 255), /ends in the middle/);
    refuses(pickle(0x8b, 0, 0, 0, 1), /an integer of 16777216 bytes/);
  });

  it('refuses malformed pickles', () => {
    refuses(Buffer.alloc(0), /ends in the middle/);
    refuses(Buffer.of(0x80, 2, 0x4e), /ends in the middle/);
    refuses(pickle(), /lacks its operand/);
    refuses(pickle(0x28, 0x30), /lacks its operand/);
    refuses(pickle(0x74), /lacks its mark/);
    refuses(pickle(0x68, 3), /recalls value 3/);
    refuses(pickle(integer(1), integer(2), 0x61), /appends to a number/);
    refuses(pickle(0x5d, integer(1), integer(2), 0x73), /sets an item of a list/);
    refuses(pickle(Buffer.from('}(Nu')), /a key without a value/);
    refuses(pickle(0x58, 1, 0, 0, 0, 0xff), /not UTF-8/);
    refuses(pickle(Buffer.from('cos')), /does not end/);
  });

  it('ends in a value or a PickleError for any bytes', () => {
    const seed = pickle(dictionary({ a: tensor(storage('0', 24), 0, [6, 4], [4, 1]) }));
    const mutation = fc.array(fc.tuple(fc.nat(seed.length - 1), fc.nat(255)), { maxLength: 6 });
    const attempt = (bytes: Uint8Array): void => {
      try {
        readPickle(bytes, { allowModules: true });
      } catch (error) {
        assert.ok(error instanceof PickleError, String(error));
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), attempt), { numRuns: 2000 });
    fc.assert(
      fc.property(mutation, changes => {
        const bytes = Buffer.from(seed);
        for (const [position, value] of changes) bytes[position] = value;
        attempt(bytes);
      }),
      { numRuns: 3000 },
    );
  });
});
