import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TensorDescription } from '../../trainer/checkpoints/checkpointTypes.ts';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { inferArchitecture } from '../../trainer/checkpoints/inferArchitecture.ts';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { configurationMetadataKey, hashFile, resolveModel } from '../../trainer/checkpoints/modelFiles.ts';
import { toOpenClipConfiguration } from '../../trainer/checkpoints/openClipConfiguration.ts';
import { readSafetensors, writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { type VisionArchitecture, visionTensorShapes } from '../../trainer/models/architecture.ts';
import { skipBecause } from '../support/skip.ts';

const golden = fileURLToPath(new URL('../fixtures/openclip_vit', import.meta.url));

/** A weights file with the tensors of an architecture, its data a hole in the file that takes no space. */
async function writeHollow(
  file: string,
  architecture: VisionArchitecture,
  metadata: Record<string, string> = {},
): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let begin = 0;
  for (const [name, shape] of visionTensorShapes(architecture)) {
    const end = begin + 2 * shape.reduce((product, dimension) => product * dimension, 1);
    header[name] = { dtype: 'F16', shape, data_offsets: [begin, end] };
    begin = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, Buffer.concat([length, json]));
  await truncate(file, 8 + json.length + begin);
}

describe('model files', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'models-'));
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  const rejects = (work: Promise<unknown>, pattern: RegExp) =>
    assert.rejects(work, (error: unknown) => {
      assert.ok(error instanceof FileError, `${String(error)} is not a FileError`);
      assert.match(error.message, pattern);
      return true;
    });

  it('finds the weights and the configuration of a folder', async () => {
    const model = await resolveModel(golden);
    assert.equal(model.weightsFile, path.join(golden, 'weights.safetensors'));
    assert.equal(model.architecture.layers, 3);
    assert.equal(model.sourceNames.architecture, path.join(golden, 'open_clip_config.json'));
    assert.deepEqual(model.normalisation.mean, [0.48145466, 0.4578275, 0.40821073]);
    assert.deepEqual(model.warnings, []);
    assert.deepEqual(await resolveModel(path.join(golden, 'weights.safetensors')), model);
  });

  it('prefers --arch to what lies beside the weights', async () => {
    const content = JSON.parse(await readFile(path.join(golden, 'open_clip_config.json'), 'utf8'));
    content.model_cfg.quick_gelu = true;
    const arch = path.join(folder, 'mine.json');
    await writeFile(arch, JSON.stringify(content));
    const model = await resolveModel(golden, arch);
    assert.equal(model.architecture.activation, 'quickGelu');
    assert.equal(model.sourceNames.architecture, arch);
    await rejects(resolveModel(golden, 'ViT-B-16'), /has shape \[64\], but ViT-B-16 .* needs \[768\]/);
    await rejects(resolveModel(golden, 'ViT-X'), /^ViT-X: not a known architecture\. Known are ViT-B-32, /);
    await rejects(resolveModel(golden, path.join(folder, 'none.json')), /ENOENT/);
  });

  it('reads the configuration that a file carries in its own metadata', async () => {
    const { architecture, normalisation } = await resolveModel(golden);
    const { tensors } = await readSafetensors(path.join(golden, 'weights.safetensors'));
    const file = path.join(folder, 'student.safetensors');
    const configuration = JSON.stringify(toOpenClipConfiguration({ architecture, normalisation }));
    await writeSafetensors(file, tensors, { [configurationMetadataKey]: configuration });
    const model = await resolveModel(folder);
    assert.deepEqual([model.architecture, model.normalisation], [architecture, normalisation]);
    await writeSafetensors(file, tensors, { [configurationMetadataKey]: '{' });
    await rejects(resolveModel(file), /metadata 'open_clip_config' is not valid JSON/);
  });

  it('tells models from their shapes where weights of one activation only exist', async () => {
    const file = path.join(folder, 'w.safetensors');
    for (const name of ['ViT-g-14', 'ViT-H-14-378-quickgelu']) {
      await writeHollow(file, knownArchitectures.get(name)!);
      const model = await resolveModel(file);
      assert.deepEqual(model.architecture, knownArchitectures.get(name));
      assert.equal(model.sourceNames.architecture, 'shapes of the tensors');
    }
  });

  it('asks for --arch where shapes leave the activation open, unless the file says OpenAI', async () => {
    const file = path.join(folder, 'w.safetensors');
    const plain = knownArchitectures.get('ViT-L-14-336')!;
    await writeHollow(file, plain);
    await rejects(resolveModel(file), /could be ViT-L-14-336 or ViT-L-14-336-quickgelu.*Pass --arch/);
    assert.equal((await resolveModel(file, 'ViT-L/14-336')).architecture, plain);
    await writeHollow(file, plain, { source: 'OpenAI CLIP' });
    assert.equal((await resolveModel(file)).architecture.name, 'ViT-L-14-336-quickgelu');
    const named = path.join(folder, 'vit_large_openai', 'w.safetensors');
    await writeHollow(named, plain);
    const model = await resolveModel(named);
    assert.equal(model.architecture.name, 'ViT-L-14-336-quickgelu');
    assert.match(model.warnings[0]!, /says OpenAI, so it is read as ViT-L-14-336-quickgelu/);
  });

  it('tells EVA-02 and ResNets from their shapes', async () => {
    for (const [name, folderName] of [
      ['EVA02-CLIP-B-16', 'eva'],
      ['EVA02-CLIP-L-14-336', 'eva-large'],
      ['RN50x16-quickgelu', 'resnet'],
      ['RN101-quickgelu', 'openai-resnet'],
    ] as const) {
      const file = path.join(folder, folderName, 'model.safetensors');
      await writeHollow(file, knownArchitectures.get(name)!);
      assert.equal((await resolveModel(file)).architecture.name, name);
    }
  });

  it('reads a ResNet without asking for the activation, which its text tower alone has', async () => {
    for (const name of ['RN50', 'RN101-quickgelu']) {
      const file = path.join(folder, 'w.safetensors');
      await writeHollow(file, knownArchitectures.get(name)!);
      const { architecture, activationKnown, warnings } = await resolveModel(file);
      const quick = name.replace('-quickgelu', '');
      assert.equal(architecture.name, `${quick}-quickgelu`);
      assert.equal(activationKnown, false);
      assert.match(warnings[0]!, /image towers are the same.*only what reads texts needs --arch/);
      const told = await resolveModel(file, quick);
      assert.deepEqual(
        [told.architecture.activation, told.activationKnown, told.warnings],
        ['gelu', true, []],
      );
    }
    const named = path.join(folder, 'resnet50_clip.openai', 'open_clip_model.safetensors');
    await writeHollow(named, knownArchitectures.get('RN50')!);
    assert.equal((await resolveModel(named)).activationKnown, true);
  });

  it("knows OpenAI's own archives by their buffers", () => {
    const shapes = visionTensorShapes(knownArchitectures.get('ViT-B-16')!);
    const tensors = new Map<string, TensorDescription>();
    for (const [name, shape] of shapes) tensors.set(name, { shape, dtype: 'float16' });
    const header = { file: '/models/ViT-B-16.pt', tensors, metadata: {} };
    assert.throws(() => inferArchitecture(header), /could be ViT-B-16 or ViT-B-16-quickgelu/);
    for (const name of ['input_resolution', 'context_length', 'vocab_size'])
      tensors.set(name, { shape: [], dtype: 'int64' });
    assert.equal(inferArchitecture(header).architecture.name, 'ViT-B-16-quickgelu');
  });

  it('does not guess shapes of no known model', async () => {
    await copyFile(path.join(golden, 'weights.safetensors'), path.join(folder, 'tiny.safetensors'));
    await rejects(
      resolveModel(folder),
      /\(visual\.conv1\.weight \[64, 3, 8, 8\], 3 blocks\) are of no known architecture/,
    );
  });

  it('refuses files that only bear the name of a pickle', async () => {
    for (const name of ['a.pt', 'b.pth', 'c.bin']) {
      const file = path.join(folder, name);
      await writeFile(file, 'not even a pickle');
      await rejects(resolveModel(file), /not a valid PyTorch file: it is not a zip archive/);
    }
    await rejects(resolveModel(folder), /holds 3 PyTorch files \(a\.pt, b\.pth, c\.bin/);
  });

  it('prefers safetensors to a PyTorch file beside them', async () => {
    await writeFile(path.join(folder, 'pytorch_model.bin'), 'not even a pickle');
    await copyFile(path.join(golden, 'weights.safetensors'), path.join(folder, 'mine.safetensors'));
    const arch = path.join(golden, 'open_clip_config.json');
    assert.equal((await resolveModel(folder, arch)).weightsFile, path.join(folder, 'mine.safetensors'));
  });

  it('names the layouts that it does not read', async () => {
    const file = path.join(folder, 'model.safetensors');
    const tensor = { shape: [1], dtype: 'float32', data: new Float32Array(1) } as const;
    await writeSafetensors(file, { 'visual.blocks.0.attn.qkv.weight': tensor });
    await rejects(resolveModel(file), /the image tower of an EVA-CLIP before EVA-02/);
    await writeSafetensors(file, { 'bert.x': tensor });
    await rejects(resolveModel(file), /no CLIP image tower.*it starts with 'bert\.x'/);
  });

  it('names missing, empty and crowded places', async () => {
    await rejects(resolveModel(path.join(folder, 'none')), /ENOENT/);
    await rejects(resolveModel(folder), /holds no \.safetensors weights/);
    for (const name of ['a', 'b']) await writeSafetensors(path.join(folder, `${name}.safetensors`), {});
    await rejects(resolveModel(folder), /holds 2 \.safetensors files \(a\.safetensors, b\.safetensors/);
  });

  it('names a configuration that is not JSON, or too large to be one', async () => {
    await copyFile(path.join(golden, 'weights.safetensors'), path.join(folder, 'model.safetensors'));
    const configuration = path.join(folder, 'open_clip_config.json');
    await writeFile(configuration, '{"model_cfg":');
    await rejects(resolveModel(folder), /open_clip_config\.json: it is not valid JSON/);
    await truncate(configuration, 2 ** 40);
    await rejects(resolveModel(folder), /larger than 1048576 bytes/);
  });

  it('hashes weights as sha256sum does', async function () {
    const file = path.join(golden, 'weights.safetensors');
    try {
      const expected = execFileSync('sha256sum', [file]).toString().slice(0, 64);
      assert.equal(await hashFile(file), expected);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
      skipBecause(this, 'there is no sha256sum here to compare with');
    }
    await rejects(hashFile(path.join(folder, 'none')), /ENOENT/);
  });
});
