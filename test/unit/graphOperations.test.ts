import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { add, negate } from '../../trainer/graph/operations/arithmetic.ts';
import { ShapeError } from '../../trainer/graph/shape.ts';
import { topologicalOrder, Value } from '../../trainer/graph/value.ts';

describe('graph operations', () => {
  it('have a test file for every module, so that a new module cannot come without one', () => {
    const modules = readdirSync(new URL('../../trainer/graph/operations/', import.meta.url));
    assert.ok(modules.length > 0);
    for (const module of modules) {
      const name = module[0]!.toUpperCase() + module.slice(1).replace(/\.ts$/, '.test.ts');
      assert.ok(existsSync(new URL(`graph${name}`, import.meta.url)), `${module} has no test graph${name}`);
    }
  });
});

describe('graph values', () => {
  it('refuse lengths that are no count', () => {
    for (const length of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => Value.input('x', [2, length]), /^RangeError: x: shape \[2, .*no count/);
      assert.throws(() => Value.constant(1, [length]), /^RangeError: constant: shape/);
    }
  });

  it('name the operation and both shapes when they do not fit', () => {
    assert.throws(
      () => add(Value.input('a', [2, 3]), Value.input('b', [4])),
      (error: unknown) =>
        error instanceof ShapeError &&
        error.name === 'ShapeError' &&
        error.message === 'add: shapes do not broadcast ([2, 3] and [4])',
    );
  });

  it('come operands first and once each', () => {
    const x = Value.input('x', [2]);
    const doubled = add(x, x);
    const result = add(negate(doubled), doubled);
    const order = topologicalOrder([result, doubled]);
    assert.equal(order.length, 4);
    assert.deepEqual(
      order.map(value => value.operation?.name ?? value.name),
      ['x', 'add', 'negate', 'add'],
    );
    for (const value of order)
      for (const input of value.inputs) assert.ok(order.indexOf(input) < order.indexOf(value));
  });

  it('may be nested deeper than the call stack', () => {
    let value = Value.input('x', []);
    for (let depth = 0; depth < 100_000; depth++) value = negate(value);
    assert.equal(topologicalOrder([value]).length, 100_001);
  });
});
