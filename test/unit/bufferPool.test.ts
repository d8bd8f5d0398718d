import assert from 'node:assert/strict';
import { BufferPool } from '../../trainer/images/bufferPool.ts';

describe('BufferPool', () => {
  it('lends memory again to tensors of the same kind alone', () => {
    const pool = new BufferPool();
    const first = pool.take(3, 8);
    assert.equal(first.buffer.byteLength, 32);
    pool.give([first.buffer]);
    assert.notEqual(pool.take(3, 9).buffer, first.buffer);
    const second = pool.take(8, 8);
    assert.equal(second.buffer, first.buffer);
    assert.equal(second.length, 8);
    assert.notEqual(pool.take(8, 8).buffer, first.buffer);
    assert.throws(() => pool.take(9, 8), /9 numbers are more than the 8/);
  });

  it('keeps a bounded number of buffers', () => {
    const pool = new BufferPool();
    pool.give(Array.from({ length: 1000 }, () => new SharedArrayBuffer(4)));
    assert.equal(pool.free, 32);
  });
});
