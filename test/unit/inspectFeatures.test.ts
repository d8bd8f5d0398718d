import assert from 'node:assert/strict';
import { cp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openReference } from '../../trainer/commands/openTower.ts';
import { fromFloat16 } from '../../trainer/float16.ts';
import { decodeImage } from '../../trainer/images/decode.ts';
import type { FeaturesParams, FeaturesResult, ReadOut } from '../../trainer/inspect/protocol.ts';
import {
  endInspectServices,
  type InspectClient,
  modelAt,
  refusal,
  startInspectService,
} from '../support/inspectClient.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  buildTrainer,
  runTrainer,
  tinyArchitecture,
  tinyCommand,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

/** Half a unit in the last place of values below 1, and the engine's own rounding. */
const halfPrecision = 2 ** -12 + 1e-6;

const fileOf = async (service: InspectClient, { key }: FeaturesResult): Promise<string> =>
  (await service.request('mapFile', { key })).file;

async function valuesOf(service: InspectClient, features: FeaturesResult): Promise<Float32Array> {
  const file = await fileOf(service, features);
  const bytes = await readFile(file);
  return fromFloat16(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2));
}

function assertClose(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  const worst = actual.reduce((most, value, index) => Math.max(most, Math.abs(value - expected[index]!)), 0);
  assert.ok(worst <= tolerance, `differs by ${worst}`);
}

describe('inspector service: features', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;
  let service: InspectClient;
  let model: string;
  const image = (index: number): string => folder.file(`images/image-${String(index).padStart(2, '0')}.png`);
  const query = (changes: Partial<FeaturesParams> = {}): FeaturesParams => ({
    model: modelAt(model),
    image: image(0),
    size: 64,
    readOut: 'value',
    layer: null,
    ...changes,
  });

  before(async () => {
    await buildTrainer();
    folder = await temporaryFolder();
    model = folder.file('model');
    await writeTinyModel(model);
    await writeTinyImages(folder.file('images'), 6);
  });

  beforeEach(() => {
    service = startInspectService(folder.file('cache'), ['--cache-images', '3']);
  });

  afterEach(async () => {
    const { status, stderr } = await service.close();
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '');
  });

  after(async () => {
    endInspectServices();
    await folder.remove();
  });

  it('equal those of the library within half precision, for every read-out and layer', async () => {
    const tower = await openReference(modelAt(model), 'cpu', 1);
    const raster = await decodeImage(image(0));
    const readOuts: ReadOut[] = ['value', 'tokens', 'queryQuery', 'keyKey', 'valueValue'];
    const maps: string[] = [];
    for (const readOut of readOuts)
      for (const layer of [null, 1]) {
        const answer = await service.request('features', query({ readOut, layer }));
        if (readOut === 'maskAttention') continue;
        const options = layer === null ? { readOut } : { readOut, layer };
        const expected = await tower.features.dense(raster, 64, options);
        const values = await valuesOf(service, answer);
        assertClose(values, expected.features, halfPrecision);
        assert.deepEqual(answer.valid, expected.valid);
        assert.deepEqual([answer.rows, answer.columns, answer.dimension], [8, 8, 16]);
        assert.deepEqual([answer.imageWidth, answer.imageHeight], [raster.width, raster.height]);
        maps.push(values.join());
      }
    await tower.dispose();
    assert.equal(new Set(maps).size, 10, 'each read-out and layer gives another map');
  });

  it('come from the cache the second time, also for another service and a copy of the image', async () => {
    const first = await service.request('features', query({ image: image(1) }));
    const second = await service.request('features', query({ image: image(1) }));
    assert.deepEqual([first.cached, second.cached], [false, true]);
    assert.deepEqual([second.key, second.valid], [first.key, first.valid]);
    assert.equal(await fileOf(service, second), await fileOf(service, first));
    assert.equal(second.milliseconds.forward, 0);
    const copy = folder.file('copy of an image.png');
    await writeFile(copy, await readFile(image(1)));
    assert.equal((await service.request('features', query({ image: copy }))).cached, true);
    const other = startInspectService(folder.file('cache'));
    assert.equal((await other.request('features', query({ image: image(1) }))).cached, true);
    assert.equal((await other.close()).status, 0);
  });

  it('come with the clusters that were asked for, and without those that they cannot be divided into', async () => {
    const settings = { k: 3, seed: 5, restarts: 4, smooth: true };
    const answers = [
      await service.request('features', query({ size: 72, clusters: settings })),
      await service.request('features', query({ size: 72, clusters: settings })),
    ];
    assert.deepEqual(
      answers.map(({ cached }) => cached),
      [false, true],
    );
    const { key } = answers[0]!;
    const { maps } = await service.request('kMeans', { keys: [key], ...settings, reference: null });
    for (const { clusters } of answers) assert.deepEqual(clusters, maps[0]);
    const many = await service.request('features', query({ size: 8, clusters: settings }));
    assert.deepEqual([many.rows, many.clusters], [1, null]);
    assert.equal((await service.request('features', query())).clusters, null);
  });

  it('are computed again when image, size, read-out or model differ', async () => {
    await service.request('features', query());
    const changes: Partial<FeaturesParams>[] = [
      { size: 40 },
      { readOut: 'keyKey', size: 40 },
      { image: image(2) },
    ];
    const keys = new Set<string>();
    for (const change of changes) {
      const answer = await service.request('features', query(change));
      assert.equal(answer.cached, false, JSON.stringify(change));
      keys.add(answer.key);
    }
    assert.equal(keys.size, 3);
  });

  it('follow an image and a model that change under their names', async () => {
    const changing = folder.file('changing.png');
    await writeFile(changing, await readFile(image(0)));
    const before = await service.request('features', query({ image: changing }));
    await writeFile(changing, await readFile(image(3)));
    const after = await service.request('features', query({ image: changing }));
    assert.notEqual(after.key, before.key);
    assert.notDeepEqual(await valuesOf(service, after), await valuesOf(service, before));
  });

  it('are rebuilt when a cached map or its sidecar is damaged', async () => {
    const first = await service.request('features', query({ size: 48 }));
    const { key } = first;
    const file = await fileOf(service, first);
    const good = await readFile(file);
    const sidecar = path.join(path.dirname(file), `${key}.json`);
    const flipped = Buffer.from(good);
    flipped[100]! ^= 1;
    const damages = [
      () => truncate(file, 10),
      () => writeFile(file, flipped),
      () => writeFile(sidecar, '{"schema":1'),
      () =>
        writeFile(
          sidecar,
          JSON.stringify({ schema: 1, key, image: 'x', bytes: 1e15, sha256: '', numbers: {} }),
        ),
    ];
    for (const damage of damages) {
      await damage();
      const answer = await service.request('features', query({ size: 48 }));
      assert.equal(answer.cached, false, String(damage));
      assert.deepEqual(await readFile(await fileOf(service, answer)), good);
    }
    assert.equal((await service.request('features', query({ size: 48 }))).cached, true);
  });

  it('of the images used longest ago leave the cache', async () => {
    const cache = folder.file('cache of three');
    const three = startInspectService(cache, ['--cache-images', '3']);
    const keys: string[] = [];
    for (const index of [0, 1, 2, 3]) {
      const answer = await three.request('features', query({ image: image(index), size: 32 }));
      const { key } = answer;
      const file = await fileOf(three, answer);
      keys.push(key);
      // Times of use, a minute apart, whatever the clock's resolution.
      const used = new Date(Date.now() - 600_000 + index * 60_000);
      await utimes(path.join(path.dirname(file), `${key}.json`), used, used);
    }
    assert.equal((await three.request('features', query({ image: image(1), size: 32 }))).cached, true);
    await three.request('features', query({ image: image(4), size: 32 }));
    const gone = await refusal(
      three.request('kMeans', {
        keys: [keys[2]!],
        k: 2,
        seed: 0,
        restarts: 1,
        smooth: false,
        reference: null,
      }),
    );
    assert.equal(gone.name, 'unknownKey');
    const names = await readdir(cache);
    const images = new Set<string>();
    for (const name of names.filter(name => /^[0-9a-f]{64}\.json$/.test(name)))
      images.add(JSON.parse(await readFile(path.join(cache, name), 'utf8')).image);
    assert.equal(images.size, 3);
    const kept = [0, 1, 2, 3].filter(index => names.includes(`${keys[index]}.map`));
    assert.deepEqual(kept, [1, 3]);
    assert.equal((await three.close()).status, 0);
  });

  it('keep within the bytes of the cache', async () => {
    // Two maps of 4 × 4 × 16 half-precision numbers and no more.
    const cache = folder.file('small cache');
    const small = startInspectService(cache, ['--cache-gib', String((2 * 512 + 100) / 2 ** 30)]);
    for (const index of [0, 1, 2, 3])
      await small.request('features', query({ image: image(index), size: 32 }));
    assert.equal((await small.request('features', query({ image: image(3), size: 32 }))).cached, true);
    const maps = (await readdir(cache)).filter(name => name.endsWith('.map'));
    assert.equal(maps.length, 2);
    assert.equal((await small.close()).status, 0);
  });

  it('are answered, and clustered, before they are written, and whoever asks for the file waits for it', async () => {
    const cache = folder.file('written later');
    const other = startInspectService(cache);
    const { key, rows, columns } = await other.request('features', query({ size: 32 }));
    const clusters = { k: 2, seed: 0, restarts: 1, smooth: false, reference: null };
    const [clustered, { file }] = await Promise.all([
      other.request('kMeans', { keys: [key], ...clusters }),
      other.request('mapFile', { key }),
    ]);
    assert.equal(clustered.maps[0]!.labels.length, rows * columns);
    assert.equal((await readFile(file)).byteLength, rows * columns * 16 * 2);
    assert.equal((await refusal(other.request('mapFile', { key: '0'.repeat(64) }))).name, 'unknownKey');
    await other.request('features', query({ image: image(1), size: 32 }));
    assert.equal((await other.close()).status, 0);
    const names = await readdir(cache);
    assert.equal(names.filter(name => name.endsWith('.map')).length, 2, 'a service that ends has written');
  });

  it('that cannot be written are clustered all the same, and the file is refused with the reason', async () => {
    const cache = folder.file('unwritable');
    const other = startInspectService(cache);
    await other.request('describe', { model: modelAt(model) });
    await rm(cache, { recursive: true });
    await writeFile(cache, 'a file in its place');
    const { key, cached } = await other.request('features', query({ size: 32 }));
    const clusters = { k: 2, seed: 0, restarts: 1, smooth: false, reference: null };
    assert.equal((await other.request('kMeans', { keys: [key], ...clusters })).maps.length, 1);
    const refused = await refusal(other.request('mapFile', { key }));
    assert.equal(refused.name, 'cacheUnwritable');
    assert.match(refused.message, /unwritable/);
    assert.equal(cached, false);
    await rm(cache);
    const again = await other.request('features', query({ size: 32 }));
    assert.equal((await valuesOf(other, again)).length, 4 * 4 * 16);
    assert.equal((await other.close()).status, 0);
  });

  it('report each stage in order, and only to a caller that asks', async () => {
    const told: [id: number, stage: string, fraction: number][] = [];
    service.onProgress(({ id, stage, fraction }) => told.push([id, stage, fraction]));
    await service.request('features', query({ image: image(5), size: 128 }));
    assert.equal(told.length, 0);
    await service.request('features', { ...query({ image: image(5), size: 136 }), id: 7 });
    assert.deepEqual([...new Set(told.map(([, stage]) => stage))], ['decoding', 'forward']);
    assert.ok(told.every(([id]) => id === 7));
    const fractions = told.map(([, , fraction]) => fraction);
    assert.deepEqual(
      fractions,
      [...fractions].sort((a, b) => a - b),
    );
    assert.ok(fractions.every(fraction => fraction >= 0 && fraction <= 1));
  });

  describe('of a run', () => {
    let run: string;

    before(async () => {
      run = folder.file('run');
      const settings = '--epochs 1 --checkpoint-every 1 --keep-checkpoints 10 --hold-out 0 --blend 0.5';
      const args = [...tinyCommand(model, folder.file('images'), run), ...settings.split(' ')];
      const { status, stderr } = await runTrainer(args);
      assert.equal(status, 0, stderr);
    });

    it('are those of its student, and name its checkpoints and source', async () => {
      const description = await service.request('describe', { model: modelAt(run) });
      assert.deepEqual(description.steps, [1, 2, 3]);
      assert.deepEqual(description.source, modelAt(model));
      assert.equal(description.step, null);
      assert.equal(description.layers, tinyArchitecture.layers);
      const ofRun = await service.request('features', query({ model: modelAt(run) }));
      const ofFile = await service.request(
        'features',
        query({ model: modelAt(path.join(run, 'student.safetensors')) }),
      );
      assert.equal(ofRun.key, ofFile.key);
      assert.notEqual(ofRun.key, (await service.request('features', query())).key);
    });

    it('change from checkpoint to checkpoint, and the last blend is the student', async () => {
      const maps: Float32Array[] = [await valuesOf(service, await service.request('features', query()))];
      for (const step of [1, 2, 3])
        maps.push(
          await valuesOf(service, await service.request('features', query({ model: modelAt(run, step) }))),
        );
      assert.equal(new Set(maps.map(map => map.join())).size, 4);
      const student = await valuesOf(
        service,
        await service.request('features', query({ model: modelAt(run) })),
      );
      const blended = await service.request('features', query({ model: modelAt(run, 3, 0.5) }));
      assert.deepEqual(await valuesOf(service, blended), student);
      const source = await service.request('features', query({ model: modelAt(run, 3, 0) }));
      assert.deepEqual(await valuesOf(service, source), maps[0]);
    });

    it('fall back to the latest checkpoint while there is no student', async () => {
      const live = folder.file('live run');
      await cp(run, live, { recursive: true });
      const student = await valuesOf(
        service,
        await service.request('features', query({ model: modelAt(run) })),
      );
      await rm(path.join(live, 'student.safetensors'));
      assert.equal((await service.request('describe', { model: modelAt(live) })).step, 3);
      assert.deepEqual(
        await valuesOf(service, await service.request('features', query({ model: modelAt(live) }))),
        student,
      );
    });

    it('are refused for a step that it has not, and when its source is another model now', async () => {
      const missing = await refusal(service.request('features', query({ model: modelAt(run, 99) })));
      assert.equal(missing.name, 'modelUnreadable', missing.message);
      assert.match(missing.message, /no checkpoint of step 99. It has those of 1, 2, 3/);
      const noRun = await refusal(service.request('features', query({ model: modelAt(model, 1) })));
      assert.match(noRun.message, /no run directory/);
      const { settings } = JSON.parse(await readFile(path.join(run, 'config.json'), 'utf8'));
      assert.equal(settings.model, model);
      const weights = path.join(model, 'open_clip_model.safetensors');
      const original = await readFile(weights);
      const other = Buffer.from(original);
      other.writeFloatLE(1, other.length - 4);
      await writeFile(weights, other);
      const changed = await refusal(service.request('features', query({ model: modelAt(run, 2), size: 56 })));
      await writeFile(weights, original);
      assert.equal(changed.name, 'modelUnreadable');
      assert.match(changed.message, /no longer the model that the run/);
    });
  });

  it('of two models stay loaded, and a third takes the place of the one used longest ago', async () => {
    const models = ['a', 'b', 'c'].map(name => folder.file(`model ${name}`));
    for (const directory of models) {
      await writeTinyModel(directory);
      // Another number in the file makes another model.
      const weights = path.join(directory, 'open_clip_model.safetensors');
      const bytes = await readFile(weights);
      bytes.writeFloatLE(models.indexOf(directory) / 100, (await stat(weights)).size - 4);
      await writeFile(weights, bytes);
    }
    const loads = async (directory: string, size: number): Promise<boolean> => {
      let loaded = false;
      service.onProgress(({ id, stage }) => {
        if (id === size && stage === 'loading model') loaded = true;
      });
      await service.request('features', { ...query({ model: modelAt(directory), size }), id: size });
      return loaded;
    };
    const [a, b, c] = models as [string, string, string];
    assert.deepEqual(
      [await loads(a, 72), await loads(b, 80), await loads(a, 88), await loads(b, 96)],
      [true, true, false, false],
    );
    assert.deepEqual([await loads(c, 104), await loads(b, 112), await loads(a, 120)], [true, false, true]);
  });
});
