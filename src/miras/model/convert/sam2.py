"""Names of SAM 2: the original release's and transformers' Sam2Model, for single images."""

from miras.model.convert.rename import Rule, dropped, joined, named, shared, steps, under
from miras.model.convert.sam import MASK_PROMPTS, SHARED

__all__ = ["MODEL", "ORIGINAL"]

_VIDEO = "SAM 2's memory of a video; we look at single images"
_EYE, _BLOCK = "image_encoder.trunk.", "image_encoder.trunk.blocks.{block}."
_OUR_EYE, _OUR_BLOCK = "pixel.vision_encoder.backbone.", "pixel.vision_encoder.backbone.blocks.{block}."
_LAYER = "transformer.layers.{layer}."

_DECODER = (
    named("iou_token.weight", "iou_token.weight"),
    named("mask_tokens.weight", "mask_tokens.weight"),
    named("obj_score_token.weight", "obj_score_token.weight"),
    named(_LAYER + "{word}.out_proj.{leaf}", _LAYER + "{word}.o_proj.{leaf}"),
    named(_LAYER + "{word}.{word2}_proj.{leaf}", _LAYER + "{word}.{word2}_proj.{leaf}"),
    named(_LAYER + "norm{n}.{leaf}", _LAYER + "layer_norm{n}.{leaf}"),
    *steps(_LAYER + "mlp.layers", _LAYER + "mlp.", {0: "proj_in", 1: "proj_out"}),
    named("transformer.{word}.out_proj.{leaf}", "transformer.{word}.o_proj.{leaf}"),
    named("transformer.{word}.{word2}_proj.{leaf}", "transformer.{word}.{word2}_proj.{leaf}"),
    named("transformer.norm_final_attn.{leaf}", "transformer.layer_norm_final_attn.{leaf}"),
    *steps("output_upscaling", "", {0: "upscale_conv1", 1: "upscale_layer_norm", 3: "upscale_conv2"}),
    named("conv_s{n}.{leaf}", "conv_s{n}.{leaf}"),
    *(
        rule
        for name in ("output_hypernetworks_mlps.{mask}", "iou_prediction_head", "pred_obj_score_head")
        for rule in steps(f"{name}.layers", f"{name}.", {0: "proj_in", 1: "layers.0", 2: "proj_out"})
    ),
)
_PROMPTS = (
    joined(tuple(f"point_embeddings.{point}.weight" for point in range(4)), "point_embed.weight"),
    *MASK_PROMPTS,
)
_MEMORY = (
    "memory_attention.{rest}", "memory_encoder.{rest}", "obj_ptr_proj.{rest}", "obj_ptr_tpos_proj.{rest}",
    "mask_downsample.{leaf}", "maskmem_tpos_enc", "no_mem_pos_enc", "no_obj_ptr", "no_obj_embed_spatial",
)  # fmt: skip

ORIGINAL: tuple[Rule, ...] = (
    named(_EYE + "pos_embed", _OUR_EYE + "pos_embed"),
    named(_EYE + "pos_embed_window", _OUR_EYE + "pos_embed_window"),
    named(_EYE + "patch_embed.proj.{leaf}", _OUR_EYE + "patch_embed.projection.{leaf}"),
    named(_BLOCK + "norm{n}.{leaf}", _OUR_BLOCK + "layer_norm{n}.{leaf}"),
    named(_BLOCK + "attn.{word}.{leaf}", _OUR_BLOCK + "attn.{word}.{leaf}"),
    named(_BLOCK + "proj.{leaf}", _OUR_BLOCK + "proj.{leaf}"),
    *steps(_BLOCK + "mlp.layers", _OUR_BLOCK + "mlp.", {0: "proj_in", 1: "proj_out"}),
    named("image_encoder.neck.convs.{n}.conv.{leaf}", "pixel.vision_encoder.neck.convs.{n}.{leaf}"),
    shared("sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", *("pixel." + x for x in SHARED)),
    *under("sam_prompt_encoder.", "pixel.prompt_encoder.", _PROMPTS),
    *under("sam_mask_decoder.", "pixel.mask_decoder.", _DECODER),
    named("no_mem_embed", "pixel.no_memory_embedding"),
    *(dropped(name, _VIDEO) for name in _MEMORY),
)
"""The original release: `sam2_hiera_large.pt`, `sam2.1_hiera_large.pt` and their sisters."""

MODEL: tuple[Rule, ...] = (
    named("no_memory_embedding", "pixel.no_memory_embedding"),
    named("vision_encoder.backbone.{rest}", "pixel.vision_encoder.backbone.{rest}"),
    named("vision_encoder.neck.convs.{n}.{leaf}", "pixel.vision_encoder.neck.convs.{n}.{leaf}"),
    named("prompt_encoder.{rest}", "pixel.prompt_encoder.{rest}"),
    named("mask_decoder.{rest}", "pixel.mask_decoder.{rest}"),
    named(SHARED[0], "pixel." + SHARED[0]),
)
"""transformers' Sam2Model."""
