import assert from 'node:assert/strict';
import { toFloat16 } from '../../trainer/float16.ts';
import { MapStore } from '../../webview/inspector/mapStore.ts';
import type { FeatureQuery, MapResult } from '../../webview/inspector/protocol/requests.ts';

const query: FeatureQuery = {
  ...{ image: 0, source: { kind: 'demo' }, size: 16, readOut: 'value', layer: null },
};
const result = (key: string): MapResult => ({
  ...{ key, rows: 1, columns: 2, valid: { rows: 1, columns: 2 }, dimension: 2, patchSize: 8, size: 16 },
  ...{ imageWidth: 16, imageHeight: 8, milliseconds: { decode: 0, forward: 0, total: 0 }, cached: false },
});
const halves = (values: readonly number[]): ArrayBuffer =>
  toFloat16(Float32Array.from(values)).buffer as ArrayBuffer;

describe('the maps of a panel', () => {
  let asked: string[];
  let answer: (key: string) => Promise<ArrayBuffer>;
  let store: MapStore;
  const none: ReadonlySet<string> = new Set();

  beforeEach(() => {
    asked = [];
    answer = async () => halves([1, 0, 0, 1]);
    store = new MapStore(key => {
      asked.push(key);
      return answer(key);
    });
  });

  it('have values once they are needed, fetched once for all answers of a key', async () => {
    const first = store.add(query, result('a'));
    assert.deepEqual([first.values.features, asked], [null, []]);
    const again = store.add(query, result('a'));
    await Promise.all([store.load([first], none), store.load([again], none)]);
    await store.load([store.add(query, result('a'))], none);
    assert.deepEqual(asked, ['a']);
    assert.deepEqual([...first.values.features!.features], [1, 0, 0, 1]);
    assert.equal(again.values, first.values);
  });

  it('are asked for again when their values did not come', async () => {
    const map = store.add(query, result('a'));
    answer = async () => Promise.reject(new Error('lost'));
    await assert.rejects(store.load([map], none), /lost/);
    answer = async () => halves([1, 0]);
    await assert.rejects(store.load([map], none), /4 bytes are not a 1 × 2 map of 2 channels/);
    assert.equal(map.values.features, null);
    answer = async () => halves([0, 1, 0, 1]);
    await store.load([map], none);
    assert.deepEqual([...map.values.features!.features], [0, 1, 0, 1]);
  });

  it('keep to their key when answers come in another order, and when the host begins anew', async () => {
    const waiting = new Map<string, (data: ArrayBuffer) => void>();
    answer = key => new Promise(resolve => waiting.set(key, resolve));
    const [a, b] = [store.add(query, result('a')), store.add(query, result('b'))];
    const loads = [store.load([a], none), store.load([b], none)];
    waiting.get('b')!(halves([0, 1, 0, 1]));
    store.clear();
    const anew = store.add(query, result('a'));
    loads.push(store.load([anew], none));
    assert.deepEqual(asked, ['a', 'b', 'a']);
    waiting.get('a')!(halves([1, 0, 1, 0]));
    await Promise.all(loads.slice(1));
    assert.deepEqual([...b.values.features!.features], [0, 1, 0, 1]);
    assert.deepEqual([...anew.values.features!.features], [1, 0, 1, 0]);
    assert.equal(a.values.features, null);
  });
});
