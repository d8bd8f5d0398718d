import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { knownArchitectures, knownName } from '../../trainer/checkpoints/knownArchitectures.ts';
import {
  parseOpenClipConfiguration,
  toOpenClipConfiguration,
} from '../../trainer/checkpoints/openClipConfiguration.ts';
import { readSafetensorsHeader } from '../../trainer/checkpoints/safetensors.ts';
import {
  checkVisionTensors,
  describeArchitecture,
  gridSide,
  visionTensorShapes,
} from '../../trainer/models/architecture.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const golden = (model: string): unknown =>
  JSON.parse(readFileSync(fixture(`${model}/open_clip_config.json`), 'utf8'));
const file = '/models/open_clip_config.json';

/** A plain configuration with some fields of `vision_cfg` changed. */
function withVision(fields: Record<string, unknown>, model: Record<string, unknown> = {}): unknown {
  return { model_cfg: { embed_dim: 512, vision_cfg: { patch_size: 16, ...fields }, ...model } };
}

const evaSwitches = { eva_model_name: 'eva', rope: true, intp_freq: true, naiveswiglu: true, subln: true };

describe('vision architecture', () => {
  it('reads the golden configurations', () => {
    const { architecture, normalisation } = parseOpenClipConfiguration(golden('openai_vit'), file);
    assert.deepEqual(architecture, {
      kind: 'openai',
      name: null,
      imageSize: 32,
      patchSize: 8,
      width: 64,
      layers: 4,
      heads: 2,
      mlpWidth: 256,
      embeddingDimension: 32,
      activation: 'quickGelu',
      text: {
        ...{ kind: 'clip', contextLength: 12, vocabularySize: 96, width: 32, heads: 2, layers: 2 },
        ...{ mlpWidth: 128, endOfText: null },
      },
    });
    assert.deepEqual(normalisation.std, [0.26862954, 0.26130258, 0.27577711]);
    assert.equal(gridSide(architecture), 4);
    const openclip = parseOpenClipConfiguration(golden('openclip_vit'), file).architecture;
    assert.deepEqual([openclip.kind, openclip.activation, openclip.layers], ['openclip', 'gelu', 3]);
  });

  for (const model of ['openai_vit', 'openclip_vit', 'eva02', 'resnet']) {
    it(`knows every tensor of the image tower of ${model}`, async () => {
      const { architecture } = parseOpenClipConfiguration(golden(model), file);
      const { tensors } = await readSafetensorsHeader(fixture(`${model}/weights.safetensors`));
      checkVisionTensors(tensors, architecture, file);
      // Rotary tables and counters are no parameters.
      const constant = /\.rope\.freqs_|num_batches_tracked$/;
      const visual = [...tensors.keys()].filter(name => name.startsWith('visual.') && !constant.test(name));
      assert.deepEqual([...visionTensorShapes(architecture).keys()].sort(), visual.sort());
    });
  }

  it('takes the defaults of OpenCLIP for missing sizes and recognises known models', () => {
    const { architecture } = parseOpenClipConfiguration(withVision({}), file);
    assert.deepEqual(architecture, { ...knownArchitectures.get('ViT-B-16'), text: { kind: 'none' } });
    const bare = { embed_dim: 512, quick_gelu: true, vision_cfg: { image_size: [224, 224], patch_size: 32 } };
    assert.equal(parseOpenClipConfiguration(bare, file).architecture.name, 'ViT-B-32-quickgelu');
  });

  const parameters: [name: string, heads: number, mlpWidth: number, millions: number][] = [
    // Sizes of the image towers as OpenCLIP's model profile lists them, in millions of parameters.
    ['ViT-B-32', 12, 3072, 87.85],
    ['ViT-B-16', 12, 3072, 86.19],
    ['ViT-L-14', 16, 4096, 303.97],
    ['ViT-L-14-336', 16, 4096, 304.29],
    ['ViT-H-14', 16, 5120, 632.08],
    ['ViT-g-14', 16, 6144, 1012.65],
    ['ViT-bigG-14', 16, 8192, 1844.91],
    ['EVA02-CLIP-B-16', 12, 2048, 86.26],
    ['EVA02-CLIP-L-14-336', 16, 2730, 304.43],
    ['RN50', 32, 512, 38.32],
    ['RN101', 32, 512, 56.26],
    ['RN50x4-quickgelu', 40, 640, 87.14],
    ['RN50x16-quickgelu', 48, 768, 167.33],
    ['RN50x64-quickgelu', 64, 1024, 420.38],
  ];
  for (const [name, heads, mlpWidth, millions] of parameters) {
    it(`knows the size of ${name}`, () => {
      const architecture = knownArchitectures.get(name)!;
      assert.deepEqual([architecture.heads, architecture.mlpWidth], [heads, mlpWidth]);
      let count = 0;
      for (const [tensor, shape] of visionTensorShapes(architecture))
        if (!tensor.includes('.running_')) count += shape.reduce((a, b) => a * b, 1);
      assert.ok(Math.abs(count / 1e6 - millions) < 0.011, `${name} has ${count} parameters`);
    });
  }

  it('gives every known architecture one name, and writes configurations that read back the same', () => {
    const normalisation = { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] } as const;
    for (const [name, architecture] of knownArchitectures) {
      assert.equal(knownName(architecture), name);
      const written = JSON.parse(JSON.stringify(toOpenClipConfiguration({ architecture, normalisation })));
      assert.deepEqual(parseOpenClipConfiguration(written, file), { architecture, normalisation });
    }
    const odd = { ...knownArchitectures.get('ViT-B-16')!, width: 49, heads: 7, mlpWidth: 47, name: null };
    const written = toOpenClipConfiguration({ architecture: odd, normalisation });
    assert.equal(parseOpenClipConfiguration(written, file).architecture.mlpWidth, 47);
  });

  it('reads the golden configurations of the other families', () => {
    const eva = parseOpenClipConfiguration(golden('eva02'), file).architecture;
    assert.ok(eva.kind === 'eva02');
    assert.deepEqual([eva.rotaryGrid, eva.mlpWidth, eva.heads, eva.layers], [16, 170, 2, 3]);
    assert.equal(describeArchitecture(eva), 'EVA-02 (32 px, patch 8, width 64, 3 layers, 2 heads, SwiGLU)');
    const resNet = parseOpenClipConfiguration(golden('resnet'), file).architecture;
    assert.ok(resNet.kind === 'resnet');
    assert.deepEqual([resNet.stages, resNet.heads, gridSide(resNet)], [[2, 1, 1, 1], 2, 2]);
    assert.equal(
      describeArchitecture(resNet),
      'ResNet (64 px, 2-1-1-1 bottlenecks, width 4, 2 pooling heads)',
    );
  });

  it('counts whole patches where the patch does not divide the image', () => {
    const { architecture } = parseOpenClipConfiguration(withVision({ image_size: 230 }), file);
    assert.equal(gridSide(architecture), 14);
    assert.deepEqual(visionTensorShapes(architecture).get('visual.positional_embedding'), [197, 768]);
  });

  it('truncates the width of the MLP as OpenCLIP does', () => {
    const content = withVision({ width: 1408, head_width: 88, mlp_ratio: 4.3637 });
    assert.equal(parseOpenClipConfiguration(content, file).architecture.mlpWidth, 6144);
  });

  const refused: [what: string, content: unknown, pattern: RegExp][] = [
    ['no object', [], /must hold a JSON object/],
    ['no model_cfg', {}, /model_cfg is missing/],
    ['no vision_cfg', { model_cfg: { embed_dim: 3 } }, /model_cfg\.vision_cfg is missing/],
    ['no embed_dim', { model_cfg: { vision_cfg: {} } }, /model_cfg\.embed_dim is missing/],
    [
      'a timm tower',
      withVision({ timm_model_name: 'vit_base' }),
      /vision_cfg\.timm_model_name \("vit_base"\) names a timm model/,
    ],
    [
      'an EVA tower before EVA-02',
      withVision({ eva_model_name: 'eva-clip-g-14', rope: true, intp_freq: true, naiveswiglu: true }),
      /vision_cfg\.subln must be true: of EVA-CLIP this version reads EVA-02/,
    ],
    [
      'rotary heads of odd size',
      withVision({ ...evaSwitches, width: 60, head_width: 30 }),
      /head_width \(30\) must be a multiple of 4/,
    ],
    [
      'an EVA tower with average pooling',
      withVision({ ...evaSwitches, global_average_pool: true }),
      /average pooling/,
    ],
    [
      'a ResNet of five stages',
      withVision({ layers: [3, 4, 6, 3, 1] }),
      /layers .* must be four whole numbers/,
    ],
    [
      'a ResNet without bottlenecks',
      withVision({ layers: [3, 4, 6, 0] }),
      /layers .* must be four whole numbers/,
    ],
    [
      'a ResNet of a broken grid',
      withVision({ layers: [3, 4, 6, 3], image_size: 230 }),
      /image_size \(230\) must be a multiple of 32/,
    ],
    ['LayerScale', withVision({ ls_init_value: 1e-5 }), /ls_init_value .* LayerScale/],
    [
      'attentional pooling',
      withVision({ attentional_pool: true }),
      /attentional_pool .* attentional pooling/,
    ],
    ['average pooling', withVision({ pool_type: 'avg' }), /pool_type \("avg"\)/],
    ['sine positions', withVision({ pos_embed_type: 'sin_cos_2d' }), /pos_embed_type/],
    ['no first layer norm', withVision({ no_ln_pre: true }), /no_ln_pre/],
    ['another epsilon', withVision({ norm_kwargs: { eps: 1e-6 } }), /norm_kwargs/],
    ['a field from the future', withVision({ swizzle: 3 }), /swizzle \(3\) is not known/],
    ['text for a number', withVision({ width: '768' }), /width must be a number above 0 .* not "768"/],
    ['a negative size', withVision({ layers: -1 }), /layers must be a number above 0/],
    ['a fraction', withVision({ layers: 1.5 }), /layers must be a whole number/],
    ['an absurd size', withVision({ width: 1e9 }), /width must be a number above 0 and at most 65536/],
    [
      'heads that do not divide',
      withVision({ head_width: 100 }),
      /head_width \(100\) must divide width \(768\)/,
    ],
    [
      'oblong images',
      withVision({ image_size: [224, 448] }),
      /image_size must be one number or two equal ones/,
    ],
    [
      'an image smaller than a patch',
      withVision({ image_size: 15 }),
      /image_size \(15\) must be a whole number from 16, one patch, to 8192/,
    ],
    ['quick_gelu as text', withVision({}, { quick_gelu: 'yes' }), /quick_gelu must be true or false/],
    [
      'a bad mean',
      { ...(withVision({}) as object), preprocess_cfg: { mean: [1, 2] } },
      /preprocess_cfg\.mean must be three numbers/,
    ],
    [
      'a zero deviation',
      { ...(withVision({}) as object), preprocess_cfg: { std: [0, 1, 1] } },
      /preprocess_cfg\.std/,
    ],
  ];
  for (const [what, content, pattern] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => parseOpenClipConfiguration(content, file),
        (error: unknown) => {
          assert.ok(error instanceof FileError);
          assert.equal(error.file, file);
          assert.match(error.message, pattern);
          return true;
        },
      );
    });
  }

  it('passes over fields that mean the plain tower', () => {
    const plain = {
      timm_model_name: null,
      ls_init_value: null,
      pool_type: 'tok',
      norm_kwargs: {},
      no_ln_pre: false,
      patch_dropout: 0.5,
      attn_pooler_heads: 8,
    };
    assert.equal(parseOpenClipConfiguration(withVision(plain), file).architecture.name, 'ViT-B-16');
  });

  it('names the first tensor that does not fit, with both shapes', async () => {
    const { architecture } = parseOpenClipConfiguration(golden('openai_vit'), file);
    const { tensors } = await readSafetensorsHeader(fixture('openai_vit/weights.safetensors'));
    const check = (changes: object) => () =>
      checkVisionTensors(tensors, { ...architecture, ...changes }, 'w.safetensors');
    assert.throws(
      check({ imageSize: 64 }),
      /w\.safetensors: tensor 'visual\.positional_embedding' has shape \[17, 64\], but ViT \(64 px.* needs \[65, 64\]/,
    );
    assert.throws(check({ layers: 5 }), /lacks the tensor 'visual\.transformer\.resblocks\.4\.ln_1\.weight'/);
    assert.throws(check({ layers: 3 }), /more blocks than the 3/);
    assert.throws(check({ mlpWidth: 128 }), /mlp\.c_fc\.weight' has shape \[256, 64\].*\[128, 64\]/);
    const integers = new Map(tensors).set('visual.proj', { ...tensors.get('visual.proj')!, dtype: 'int8' });
    assert.throws(
      () => checkVisionTensors(integers, architecture, 'w'),
      /'visual\.proj' is int8, not floating point/,
    );
    assert.equal(
      describeArchitecture(architecture),
      'ViT (32 px, patch 8, width 64, 4 layers, 2 heads, quickGelu)',
    );
  });
});
