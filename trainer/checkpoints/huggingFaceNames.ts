/**
 * Tensor names of Hugging Face's CLIPModel and CLIPVisionModelWithProjection, and OpenCLIP's names of the same
 * numbers. Linear layers of the projections are stored transposed; queries, keys and values lie apart in the one and
 * packed in the other.
 */

/** How one OpenCLIP tensor is made of Hugging Face's. */
export interface TensorSource {
  readonly kind: 'same' | 'transposed' | 'packed';
  /** One name, or those of queries, keys and values. */
  readonly names: readonly string[];
}

/** Both names of tensors outside the blocks. */
const names: readonly (readonly [openClip: string, huggingFace: string, kind?: 'transposed'])[] = [
  ['logit_scale', 'logit_scale'],
  ['visual.class_embedding', 'vision_model.embeddings.class_embedding'],
  ['visual.positional_embedding', 'vision_model.embeddings.position_embedding.weight'],
  ['visual.conv1.weight', 'vision_model.embeddings.patch_embedding.weight'],
  // Misspelt in the original.
  ['visual.ln_pre.weight', 'vision_model.pre_layrnorm.weight'],
  ['visual.ln_pre.bias', 'vision_model.pre_layrnorm.bias'],
  ['visual.ln_post.weight', 'vision_model.post_layernorm.weight'],
  ['visual.ln_post.bias', 'vision_model.post_layernorm.bias'],
  ['visual.proj', 'visual_projection.weight', 'transposed'],
  ['token_embedding.weight', 'text_model.embeddings.token_embedding.weight'],
  ['positional_embedding', 'text_model.embeddings.position_embedding.weight'],
  ['ln_final.weight', 'text_model.final_layer_norm.weight'],
  ['ln_final.bias', 'text_model.final_layer_norm.bias'],
  ['text_projection', 'text_projection.weight', 'transposed'],
];

/** Both names of a block's tensors, below the block. */
const blockNames: readonly (readonly [openClip: string, huggingFace: string])[] = [
  ['ln_1.weight', 'layer_norm1.weight'],
  ['ln_1.bias', 'layer_norm1.bias'],
  ['attn.out_proj.weight', 'self_attn.out_proj.weight'],
  ['attn.out_proj.bias', 'self_attn.out_proj.bias'],
  ['ln_2.weight', 'layer_norm2.weight'],
  ['ln_2.bias', 'layer_norm2.bias'],
  ['mlp.c_fc.weight', 'mlp.fc1.weight'],
  ['mlp.c_fc.bias', 'mlp.fc1.bias'],
  ['mlp.c_proj.weight', 'mlp.fc2.weight'],
  ['mlp.c_proj.bias', 'mlp.fc2.bias'],
];

const towers: readonly (readonly [openClip: string, huggingFace: string])[] = [
  ['visual.transformer.resblocks', 'vision_model.encoder.layers'],
  ['transformer.resblocks', 'text_model.encoder.layers'],
];

const projections = ['q_proj', 'k_proj', 'v_proj'];

/** A tensor that every Hugging Face CLIP image tower has and no other layout. */
export const huggingFaceMark = 'vision_model.embeddings.patch_embedding.weight';

/** The OpenCLIP tensors that a file with these Hugging Face names gives, and how. */
export function huggingFaceSources(present: { has(name: string): boolean }): Map<string, TensorSource> {
  const sources = new Map<string, TensorSource>();
  for (const [openClip, name, kind = 'same'] of names)
    if (present.has(name)) sources.set(openClip, { kind, names: [name] });
  for (const [openClip, huggingFace] of towers) {
    for (let block = 0; present.has(`${huggingFace}.${block}.layer_norm1.weight`); block++) {
      const [to, from] = [`${openClip}.${block}`, `${huggingFace}.${block}`];
      for (const [ours, theirs] of blockNames)
        if (present.has(`${from}.${theirs}`))
          sources.set(`${to}.${ours}`, { kind: 'same', names: [`${from}.${theirs}`] });
      for (const part of ['weight', 'bias']) {
        const packed = projections.map(projection => `${from}.self_attn.${projection}.${part}`);
        if (packed.every(name => present.has(name)))
          sources.set(`${to}.attn.in_proj_${part}`, { kind: 'packed', names: packed });
      }
    }
  }
  return sources;
}
