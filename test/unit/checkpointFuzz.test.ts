/** Thousands of damaged files of every packaging: each must open or end in one FileError, soon and in little memory. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCheckpoint } from '../../trainer/checkpoints/checkpoint.ts';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { resolveModel } from '../../trainer/checkpoints/modelFiles.ts';
import { writePytorch } from '../../trainer/checkpoints/pytorchWriter.ts';
import { writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { type KeyedRandom, keyedRandom } from '../../trainer/random.ts';
import { dictionary, global, pickle, storage, tensor, writeArchive } from '../support/pickles.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));

/** Values that lengths and offsets go wrong at. */
const edges = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

const below = (random: KeyedRandom, limit: number): number => Math.floor(random.float() * limit);

/** Some bytes changed, the end cut off, a part repeated or a part taken out. */
function damaged(source: Buffer, random: KeyedRandom): Buffer {
  let bytes = Buffer.from(source);
  for (let change = below(random, 4); change >= 0; change--) {
    const position = below(random, bytes.length);
    switch (below(random, 6)) {
      case 0:
        bytes = bytes.subarray(0, position);
        break;
      case 1:
        bytes = Buffer.concat([
          bytes.subarray(0, position),
          bytes.subarray(position + 1 + below(random, 40)),
        ]);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, position + 20), bytes.subarray(position)]);
        break;
      case 3:
        if (position + 4 <= bytes.length) bytes.writeUInt32LE(edges[below(random, edges.length)]!, position);
        break;
      default:
        if (bytes.length > 0) bytes[position] = below(random, 256);
    }
  }
  return bytes;
}

interface Target {
  name: string;
  /** File that is damaged. */
  file: string;
  count: number;
  use: () => Promise<unknown>;
}

describe('damaged checkpoints', () => {
  let folder: TemporaryFolder;

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  afterEach(() => folder.remove());

  async function attempt({ name, file, count, use }: Target): Promise<number> {
    const source = readFileSync(file);
    const random = keyedRandom(7, name);
    let refused = 0;
    for (let index = 0; index < count; index++) {
      writeFileSync(file, damaged(source, random));
      const started = process.cpuUsage();
      try {
        await use();
      } catch (error) {
        refused++;
        assert.ok(
          error instanceof FileError,
          `${name} ${index}: ${error instanceof Error ? error.stack : String(error)}`,
        );
        assert.ok(
          !/[\r\n]/.test(error.message) && error.message.length < 2000,
          `${name} ${index}: ${error.message}`,
        );
      }
      // Time of the processor: what else runs on the machine does not count.
      const { user, system } = process.cpuUsage(started);
      const milliseconds = (user + system) / 1000;
      assert.ok(milliseconds < 1000, `${name} ${index} took ${milliseconds} ms`);
    }
    writeFileSync(file, source);
    return refused;
  }

  /** An archive in the manner of TorchScript, with a module in a module. */
  const scriptPickle = (): Buffer => {
    const module = Buffer.concat([global('__torch__.m', 'M'), Buffer.from(')\x81', 'latin1')]);
    const inner = Buffer.concat([
      module,
      dictionary({ weight: tensor(storage('0', 6), 0, [2, 3], [3, 1]) }),
      Buffer.from('b'),
    ]);
    return pickle(module, dictionary({ visual: inner, training: Buffer.of(0x89) }), 0x62);
  };

  /** Tiny files of every packaging, and how each is used. */
  async function targets(): Promise<Target[]> {
    const at = (...parts: string[]): string => {
      const file = path.join(folder.path, ...parts);
      mkdirSync(path.dirname(file), { recursive: true });
      return file;
    };
    const weight = { shape: [2, 3], dtype: 'float32', data: Float32Array.of(1, 2, 3, 4, 5, 6) } as const;
    const read = (file: string) => () => readCheckpoint(file, { asFloat32: true });

    const odd = at('odd.pt');
    writeFileSync(odd, readFileSync(fixture('checkpoints/odd_tensors.pt')));
    const ours = at('ours.pt');
    await writePytorch(ours, new Map([['a', weight]]));
    const script = at('script.pt');
    const storages = { 'data/0': new Uint8Array(24), 'constants.pkl': pickle(0x29) };
    await writeArchive(script, { 'data.pkl': scriptPickle(), ...storages });
    const legacy = at('legacy.pt');
    writeFileSync(legacy, readFileSync(fixture('checkpoints/odd_tensors_legacy.pt')));
    const safe = at('x.safetensors');
    writeFileSync(safe, readFileSync(fixture('checkpoints/odd_tensors.safetensors')));
    const index = at('sharded', 'model.safetensors.index.json');
    const shard = at('sharded', 'a.safetensors');
    writeFileSync(index, JSON.stringify({ weight_map: { a: 'a.safetensors', b: 'a.safetensors' } }));
    await writeSafetensors(shard, { a: weight, b: weight });
    const hugging = at('hugging', 'model.safetensors');
    await writeSafetensors(hugging, {
      'vision_model.embeddings.patch_embedding.weight': weight,
      'visual_projection.weight': weight,
      'vision_model.encoder.layers.0.layer_norm1.weight': weight,
      ...Object.fromEntries(
        ['q', 'k', 'v'].map(name => [`vision_model.encoder.layers.0.self_attn.${name}_proj.weight`, weight]),
      ),
    });
    const configuration = at('hugging', 'config.json');
    writeFileSync(
      configuration,
      JSON.stringify({
        model_type: 'clip',
        projection_dim: 8,
        vision_config: { hidden_size: 64, num_attention_heads: 2, patch_size: 8, image_size: 32 },
      }),
    );
    const openClip = at('open', 'open_clip_config.json');
    writeFileSync(openClip, readFileSync(fixture('openai_vit/open_clip_config.json')));
    await writeSafetensors(at('open', 'model.safetensors'), { 'visual.conv1.weight': weight });
    return [
      { name: 'PyTorch', file: odd, count: 4000, use: read(odd) },
      { name: 'own PyTorch', file: ours, count: 1500, use: read(ours) },
      { name: 'TorchScript', file: script, count: 1500, use: read(script) },
      { name: 'legacy', file: legacy, count: 300, use: read(legacy) },
      { name: 'safetensors', file: safe, count: 2000, use: read(safe) },
      { name: 'index', file: index, count: 600, use: read(index) },
      { name: 'shard', file: shard, count: 600, use: read(index) },
      { name: 'Hugging Face weights', file: hugging, count: 600, use: read(hugging) },
      {
        name: 'config.json',
        file: configuration,
        count: 400,
        use: () => resolveModel(path.dirname(configuration)),
      },
      {
        name: 'open_clip_config.json',
        file: openClip,
        count: 400,
        use: () => resolveModel(path.dirname(openClip)),
      },
    ];
  }

  it('open or end in one clear error, ten thousand times', async function () {
    this.timeout(120_000);
    const all = await targets();
    assert.ok(all.reduce((sum, { count }) => sum + count, 0) >= 10_000);
    for (const target of all) {
      const refused = await attempt(target);
      assert.ok(
        refused > target.count / 4,
        `${target.name}: only ${refused} of ${target.count} were refused`,
      );
    }
    // Files of some kilobytes: nothing that one of them says may have made the process large.
    const mebibytes = process.memoryUsage.rss() / 2 ** 20;
    assert.ok(mebibytes < 700, `${mebibytes} MiB resident`);
  });
});
