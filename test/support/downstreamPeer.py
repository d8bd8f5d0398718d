"""Loads exported weights with the published OpenCLIP and timm code and reads dense features. For downstreamWeights.test.ts.

usage: downstreamPeer.py make MODEL.pt CONFIG.json        a random model as OpenCLIP initialises it
       downstreamPeer.py read KIND WEIGHTS CONFIG.json PIXELS OUT
KIND: openclip (open_clip.load_checkpoint), openai (OpenCLIP's copy of OpenAI's build_model), eva (timm's EVA-02).
PIXELS holds float32 [1, 3, S, S]. OUT gets dense features [tokens, D] of unit norm in float32, then the same computed in
float64. Prints one JSON object: the versions, and how many tensors were loaded with strict=True.
"""
import json
import sys

import open_clip
import torch
import torch.nn.functional as F


def clip_of(config, quick_gelu):
    model = config["model_cfg"]
    return open_clip.model.CLIP(
        model["embed_dim"], model["vision_cfg"], model["text_cfg"], quick_gelu=quick_gelu, output_dict=False
    )


def dense_of_clip(tower, pixels):
    """CLIPSelf's read-out with the modules of a CLIP ViT: values of every token, out-projection, MLP."""
    x = tower.conv1(pixels).flatten(2).transpose(1, 2)
    x = torch.cat([tower.class_embedding.expand(x.shape[0], 1, -1), x], dim=1)
    x = tower.ln_pre(x + tower.positional_embedding)
    blocks = tower.transformer.resblocks
    for block in blocks[:-1]:
        x = block(x)
    last, width = blocks[-1], x.shape[-1]
    values = F.linear(last.ln_1(x), last.attn.in_proj_weight[-width:], last.attn.in_proj_bias[-width:])
    x = x + last.attn.out_proj(values)
    x = x + last.mlp(last.ln_2(x))
    return tower.ln_post(x[:, 1:]) @ tower.proj


def eva_of(config):
    from timm.layers import LayerNorm
    from timm.models.eva import Eva

    model = config["model_cfg"]
    vision = model["vision_cfg"]
    return Eva(
        img_size=vision["image_size"],
        patch_size=vision["patch_size"],
        embed_dim=vision["width"],
        depth=vision["layers"],
        num_heads=vision["width"] // vision["head_width"],
        num_classes=model["embed_dim"],
        qkv_fused=False,
        mlp_ratio=4 * 2 / 3,
        swiglu_mlp=True,
        scale_mlp=True,
        scale_attn_inner=True,
        use_rot_pos_emb=True,
        ref_feat_shape=(vision["pt_hw_seq_len"],) * 2,
        global_pool="token",
        norm_layer=lambda *sizes, **options: LayerNorm(*sizes, **{"eps": 1e-6, **options}),
    )


def dense_of_eva(tower, pixels):
    x, rope = tower._pos_embed(tower.patch_embed(pixels))
    for block in tower.blocks[:-1]:
        x = block(x, rope=rope)
    last = tower.blocks[-1]
    x = x + last.attn.proj(last.attn.norm(last.attn.v_proj(last.norm1(x))))
    x = x + last.mlp(last.norm2(x))
    return tower.head(tower.fc_norm(tower.norm(x[:, 1:])))


def load(kind, weights, config):
    """The model with its weights, and its dense read-out."""
    if kind == "eva":
        from timm.models.eva import checkpoint_filter_fn

        tower = eva_of(config)
        held = open_clip.factory.load_state_dict(weights)
        tower.load_state_dict(checkpoint_filter_fn(held, tower), strict=True)
        return tower, tower, dense_of_eva
    if kind == "openai":
        held = torch.load(weights, weights_only=True)
        model = open_clip.model.build_model_from_openai_state_dict(held, cast_dtype=torch.float32)
        return model.float(), model.visual, dense_of_clip
    model = clip_of(config, config["model_cfg"].get("quick_gelu", False))
    open_clip.load_checkpoint(model, weights, strict=True)
    return model, model.visual, dense_of_clip


def main(command, *arguments):
    if command == "make":
        target, config = arguments
        torch.manual_seed(5)
        with open(config) as file:
            model = clip_of(json.load(file), True)
        torch.save(model.state_dict(), target)
        return
    kind, weights, config, pixels, out = arguments
    with open(config) as file:
        config = json.load(file)
    model, tower, dense = load(kind, weights, config)
    size = config["model_cfg"]["vision_cfg"]["image_size"]
    with open(pixels, "rb") as file:
        image = torch.frombuffer(bytearray(file.read()), dtype=torch.float32).reshape(1, 3, size, size)
    with torch.no_grad(), open(out, "wb") as file:
        for precision in (torch.float32, torch.float64):
            model.eval().to(precision)
            features = F.normalize(dense(tower, image.to(precision)), dim=-1)
            file.write(features[0].double().contiguous().numpy().tobytes())
    print(json.dumps({"torch": torch.__version__, "openClip": open_clip.__version__, "tensors": len(tower.state_dict())}))


main(*sys.argv[1:])
