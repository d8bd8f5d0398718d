import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint, readCheckpoint, underSourceNames } from '../../trainer/checkpoints/checkpoint.ts';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import type { HostTensor } from '../../trainer/checkpoints/hostTensor.ts';
import { hashFile, hashWeights, resolveModel } from '../../trainer/checkpoints/modelFiles.ts';
import {
  parseOpenClipConfiguration,
  toOpenClipConfiguration,
} from '../../trainer/checkpoints/openClipConfiguration.ts';
import { writePytorch } from '../../trainer/checkpoints/pytorchWriter.ts';
import { readSafetensors, writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { locateTextTower, NoTextTowerError } from '../../trainer/models/textArchitecture.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const golden = fileURLToPath(new URL('../fixtures/openai_vit', import.meta.url));
const goldenWeights = path.join(golden, 'weights.safetensors');

const data = ({ data }: HostTensor): Float32Array => {
  assert.ok(data instanceof Float32Array);
  return data;
};

/** Rows `from` to `to` of a matrix or elements of a vector. */
function rows({ shape, data: values }: HostTensor, from: number, to: number): HostTensor {
  const length = shape.length === 1 ? 1 : shape[1]!;
  const part = values.slice(from * length, to * length);
  return { shape: [to - from, ...shape.slice(1)], dtype: 'float32', data: part };
}

function flipped(tensor: HostTensor): HostTensor {
  const [height, width] = tensor.shape as [number, number];
  const values = Float32Array.from(
    { length: height * width },
    (_, index) => data(tensor)[(index % height) * width + Math.floor(index / height)]!,
  );
  return { shape: [width, height], dtype: 'float32', data: values };
}

/** The golden model as transformers' `CLIPModel.save_pretrained` names it. */
function asHuggingFace(tensors: ReadonlyMap<string, HostTensor>): Map<string, HostTensor> {
  const result = new Map<string, HostTensor>();
  for (const [name, tensor] of tensors) {
    const block = /^(visual\.)?transformer\.resblocks\.(\d+)\.(.*)$/.exec(name);
    if (block) {
      const prefix = `${block[1] ? 'vision_model' : 'text_model'}.encoder.layers.${block[2]}`;
      const packed = /^attn\.in_proj_(weight|bias)$/.exec(block[3]!);
      const width = tensor.shape[0]! / 3;
      if (packed)
        for (const [index, letter] of ['q', 'k', 'v'].entries())
          result.set(
            `${prefix}.self_attn.${letter}_proj.${packed[1]}`,
            rows(tensor, index * width, (index + 1) * width),
          );
      else {
        const inner = block[3]!
          .replace('ln_', 'layer_norm')
          .replace('attn.', 'self_attn.')
          .replace('mlp.c_fc', 'mlp.fc1')
          .replace('mlp.c_proj', 'mlp.fc2');
        result.set(`${prefix}.${inner}`, tensor);
      }
    } else if (name === 'visual.proj') result.set('visual_projection.weight', flipped(tensor));
    else if (name === 'text_projection') result.set('text_projection.weight', flipped(tensor));
    else result.set(renamed.get(name) ?? assert.fail(name), tensor);
  }
  const positions = { shape: [1, 12], dtype: 'int64', data: new BigInt64Array(12) } as const;
  return result.set('text_model.embeddings.position_ids', positions);
}

const renamed = new Map([
  ['logit_scale', 'logit_scale'],
  ['visual.class_embedding', 'vision_model.embeddings.class_embedding'],
  ['visual.positional_embedding', 'vision_model.embeddings.position_embedding.weight'],
  ['visual.conv1.weight', 'vision_model.embeddings.patch_embedding.weight'],
  ['visual.ln_pre.weight', 'vision_model.pre_layrnorm.weight'],
  ['visual.ln_pre.bias', 'vision_model.pre_layrnorm.bias'],
  ['visual.ln_post.weight', 'vision_model.post_layernorm.weight'],
  ['visual.ln_post.bias', 'vision_model.post_layernorm.bias'],
  ['token_embedding.weight', 'text_model.embeddings.token_embedding.weight'],
  ['positional_embedding', 'text_model.embeddings.position_embedding.weight'],
  ['ln_final.weight', 'text_model.final_layer_norm.weight'],
  ['ln_final.bias', 'text_model.final_layer_norm.bias'],
]);

describe('checkpoint folders', () => {
  let folder: TemporaryFolder;
  let tensors: Map<string, HostTensor>;

  before(async () => {
    tensors = (await readSafetensors(goldenWeights)).tensors;
  });

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  afterEach(() => folder.remove());

  const refuses = async (work: Promise<unknown>, pattern: RegExp): Promise<void> =>
    assert.rejects(work, (error: unknown) => {
      assert.ok(error instanceof FileError, `${String(error)} is not a FileError`);
      assert.match(error.message, pattern);
      return true;
    });

  const writeIndex = (weightMap: unknown): Promise<void> =>
    writeFile(
      folder.file('model.safetensors.index.json'),
      JSON.stringify({ metadata: {}, weight_map: weightMap }),
    );

  /** The golden model's sizes as a CLIPConfig. */
  async function huggingFaceConfiguration(): Promise<Record<string, unknown>> {
    const { model_cfg: model } = JSON.parse(
      await readFile(path.join(golden, 'open_clip_config.json'), 'utf8'),
    );
    const { vision_cfg: vision, text_cfg: text } = model;
    return {
      model_type: 'clip',
      projection_dim: model.embed_dim,
      vision_config: {
        hidden_size: vision.width,
        intermediate_size: vision.width * (vision.mlp_ratio ?? 4),
        num_hidden_layers: vision.layers,
        num_attention_heads: vision.width / vision.head_width,
        image_size: vision.image_size,
        patch_size: vision.patch_size,
        hidden_act: 'quick_gelu',
        layer_norm_eps: 1e-5,
      },
      text_config: {
        hidden_size: text.width,
        intermediate_size: 4 * text.width,
        eos_token_id: 2,
        num_hidden_layers: text.layers,
        num_attention_heads: text.heads,
        max_position_embeddings: text.context_length,
        vocab_size: text.vocab_size,
      },
    };
  }

  async function writeHuggingFace(configuration: unknown): Promise<void> {
    await writeSafetensors(folder.file('model.safetensors'), asHuggingFace(tensors), { format: 'pt' });
    await writeFile(folder.file('config.json'), JSON.stringify(configuration));
  }

  describe('in several files', () => {
    async function writeShards(): Promise<void> {
      const names = [...tensors.keys()];
      const half = names.length >> 1;
      const shards = { 'a.safetensors': names.slice(0, half), 'b.safetensors': names.slice(half) };
      for (const [file, held] of Object.entries(shards))
        await writeSafetensors(folder.file(file), new Map(held.map(name => [name, tensors.get(name)!])));
      await writeIndex(
        Object.fromEntries(Object.entries(shards).flatMap(([file, held]) => held.map(name => [name, file]))),
      );
    }

    it('reads the tensors from where the index says', async () => {
      await writeShards();
      const read = (await readCheckpoint(folder.path)).tensors;
      assert.equal(read.size, tensors.size);
      for (const [name, tensor] of tensors) assert.deepEqual(read.get(name), tensor, name);
      const model = await resolveModel(folder.path, path.join(golden, 'open_clip_config.json'));
      assert.equal(model.weightsFile, folder.file('model.safetensors.index.json'));
      assert.deepEqual(model.files, [folder.file('a.safetensors'), folder.file('b.safetensors')]);
    });

    it('hashes all files', async () => {
      await writeShards();
      const files = [folder.file('a.safetensors'), folder.file('b.safetensors')];
      const before = await hashWeights({ files });
      await writeSafetensors(files[1]!, {});
      assert.notEqual(await hashWeights({ files }), before);
      assert.equal(await hashWeights({ files: [files[0]!] }), await hashFile(files[0]!));
    });

    it('reads PyTorch files, too', async () => {
      await writePytorch(folder.file('p.bin'), new Map([['x', tensors.get('logit_scale')!]]));
      await writeFile(folder.file('pytorch_model.bin.index.json'), '{"weight_map":{"x":"p.bin"}}');
      assert.deepEqual((await readCheckpoint(folder.path)).tensors.get('x'), tensors.get('logit_scale'));
    });

    it('stays in the folder', async () => {
      await mkdir(folder.file('inner'));
      for (const name of ['../x.safetensors', '/etc/passwd', 'a/b', 'a\\b', 'C:x', '..', '.', '', 5, null]) {
        await writeIndex({ t: name });
        await refuses(openCheckpoint(folder.path), /tensor 't' is in .*, which is no plain file name/);
      }
    });

    it('names what is missing', async () => {
      await writeShards();
      await rm(folder.file('b.safetensors'));
      await refuses(openCheckpoint(folder.path), /b\.safetensors: cannot read: no such file/);
      await writeIndex({ logit_scale: 'a.safetensors', none: 'a.safetensors' });
      await refuses(
        openCheckpoint(folder.path),
        /a\.safetensors: it lacks the tensor 'none', which model\.safetensors\.index\.json says it holds/,
      );
      await writeIndex({});
      await refuses(openCheckpoint(folder.path), /it names 0 files/);
      await writeIndex([]);
      await refuses(openCheckpoint(folder.path), /lacks the object weight_map/);
    });
  });

  describe("of Hugging Face's transformers", () => {
    it('gives the tensors and the configuration of the OpenCLIP model', async () => {
      await writeHuggingFace(await huggingFaceConfiguration());
      const statistics = { image_mean: [0.5, 0.25, 0.125], image_std: [1, 2, 3] };
      await writeFile(folder.file('preprocessor_config.json'), JSON.stringify(statistics));
      const model = await resolveModel(folder.path);
      const expected = await resolveModel(golden);
      assert.deepEqual(model.architecture, expected.architecture);
      assert.deepEqual(model.normalisation, { mean: [0.5, 0.25, 0.125], std: [1, 2, 3] });
      assert.equal(model.sourceNames.architecture, folder.file('config.json'));
      const read = (await readCheckpoint(folder.path)).tensors;
      assert.deepEqual([...read.keys()].sort(), [...tensors.keys()].sort());
      for (const [name, tensor] of tensors) {
        assert.deepEqual(read.get(name)!.data, tensor.data, name);
        assert.deepEqual([...read.get(name)!.shape], [...tensor.shape], name);
        assert.deepEqual([...model.header.tensors.get(name)!.shape], [...tensor.shape], name);
      }
    });

    it('finds the text tower, and says where a text is read out', async () => {
      const configuration = await huggingFaceConfiguration();
      const text = configuration.text_config as Record<string, unknown>;
      const textOf = async (changes: object) => {
        await writeHuggingFace({ ...configuration, text_config: { ...text, ...changes } });
        return resolveModel(folder.path);
      };
      const published = await textOf({});
      assert.equal(locateTextTower(published.header, published.architecture).architecture.endOfText, null);
      const corrected = await textOf({ eos_token_id: 95 });
      const { architecture, prefix } = locateTextTower(corrected.header, corrected.architecture);
      assert.deepEqual([architecture.endOfText, prefix], [95, '']);
      const written = toOpenClipConfiguration(corrected);
      assert.deepEqual(parseOpenClipConfiguration(written, 'x').architecture, corrected.architecture);
      for (const [changes, message] of [
        [{ hidden_act: 'gelu' }, /hidden_act \("gelu"\) asks for another text tower/],
        [{ layer_norm_eps: 1e-6 }, /layer_norm_eps/],
        [{ num_attention_heads: 5 }, /heads \(5\) must divide width/],
      ] as const) {
        const { header, architecture } = await textOf(changes);
        assert.throws(
          () => locateTextTower(header, architecture),
          (error: unknown) => {
            assert.ok(error instanceof NoTextTowerError);
            assert.match(error.message, message);
            return true;
          },
        );
      }
      const wider = await textOf({ intermediate_size: 64 });
      assert.throws(
        () => locateTextTower(wider.header, wider.architecture),
        /c_fc\.weight' has shape \[128, 32\], but text tower .* needs \[64, 32\]/,
      );
    });

    it('gives back the names of the source', async () => {
      await writeHuggingFace(await huggingFaceConfiguration());
      const source = await readSafetensors(folder.file('model.safetensors'));
      source.tensors.delete('text_model.embeddings.position_ids');
      const back = await underSourceNames(folder.path, tensors);
      assert.deepEqual([...back.keys()].sort(), [...source.tensors.keys()].sort());
      for (const [name, tensor] of source.tensors) {
        assert.deepEqual(back.get(name)!.data, tensor.data, name);
        assert.deepEqual([...back.get(name)!.shape], [...tensor.shape], name);
      }
      assert.equal(await underSourceNames(golden, tensors), tensors);
    });

    it('takes the activation from hidden_act, and refuses others', async () => {
      const configuration = await huggingFaceConfiguration();
      const vision = configuration.vision_config as Record<string, unknown>;
      vision.hidden_act = 'gelu';
      await writeHuggingFace(configuration);
      assert.equal((await resolveModel(folder.path)).architecture.activation, 'gelu');
      vision.hidden_act = 'relu';
      await writeHuggingFace(configuration);
      await refuses(resolveModel(folder.path), /config\.json: hidden_act "relu" is neither/);
    });

    it('reads an image tower alone', async () => {
      const { vision_config: vision, projection_dim } = await huggingFaceConfiguration();
      const names = [...asHuggingFace(tensors)].filter(([name]) => /^vision_model|^visual_/.test(name));
      await writeSafetensors(folder.file('model.safetensors'), new Map(names));
      await writeFile(
        folder.file('config.json'),
        JSON.stringify({ ...(vision as object), model_type: 'clip_vision_model', projection_dim }),
      );
      const model = await resolveModel(folder.path);
      assert.equal(model.architecture.width, tensors.get('visual.class_embedding')!.shape[0]);
      assert.throws(() => locateTextTower(model.header, model.architecture), NoTextTowerError);
      const withoutProjection = names.filter(([name]) => name !== 'visual_projection.weight');
      await writeSafetensors(folder.file('model.safetensors'), new Map(withoutProjection));
      await refuses(resolveModel(folder.path), /lacks the projection .*'visual_projection\.weight'/);
    });

    it('names what does not fit', async () => {
      const good = await huggingFaceConfiguration();
      const attempt = async (change: object, pattern: RegExp): Promise<void> => {
        await writeFile(folder.file('config.json'), JSON.stringify({ ...good, ...change }));
        await refuses(resolveModel(folder.path), pattern);
      };
      await writeHuggingFace(good);
      await attempt({ model_type: 'siglip' }, /config\.json: model_type is "siglip"; only "clip"/);
      await attempt({ vision_config: 5 }, /vision_config must be an object/);
      await attempt({ projection_dim: 'x' }, /projection_dim must be a whole number above 0, not "x"/);
      await attempt({ vision_config: { hidden_size: -1 } }, /hidden_size must be a whole number/);
      await attempt({ vision_config: { layer_norm_eps: 1e-6 } }, /layer_norm_eps is 0\.000001/);
      await attempt({ vision_config: { num_attention_heads: 7 } }, /num_attention_heads \(7\) must divide/);
      await attempt({ vision_config: {} }, /tensor 'visual\.\w+' has shape/);
      await writeFile(folder.file('config.json'), JSON.stringify(good));
      await writeFile(folder.file('preprocessor_config.json'), '{"image_mean":[1,2]}');
      await refuses(resolveModel(folder.path), /preprocessor_config\.json: image_mean must be three numbers/);
      const crooked = asHuggingFace(tensors);
      const query = 'vision_model.encoder.layers.0.self_attn.q_proj.weight';
      crooked.set(query, rows(crooked.get(query)!, 0, 3));
      await writeSafetensors(folder.file('model.safetensors'), crooked);
      await refuses(openCheckpoint(folder.path), /q_proj\.weight'.*do not have the shapes of a CLIP model/);
    });
  });
});
