"""Names of SAM: the original release's, transformers' SamModel's and those of our pixel encoder."""

from miras.model.convert.rename import Rule, dropped, named, reshaped, shared, steps, under

__all__ = ["MASK_PROMPTS", "MODEL", "ORIGINAL", "PART", "SHARED"]

_MEAN = "the mean and the scale of pixels, which the processor knows"
SHARED = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")
"""Where transformers has the one table of positions."""
MASK_PROMPTS: tuple[Rule, ...] = (
    named("not_a_point_embed.weight", "not_a_point_embed.weight"),
    named("no_mask_embed.weight", "no_mask_embed.weight"),
    *steps("mask_downscaling", "mask_embed.", {0: "conv1", 3: "conv2", 6: "conv3"}),
    *steps("mask_downscaling", "mask_embed.", {1: "layer_norm1", 4: "layer_norm2"}),
)
"""The prompt encoder but for its points, in SAM and SAM 2."""


def _perceptron(name: str) -> tuple[Rule, ...]:
    """SAM's three layers, of which transformers names the first and the last apart."""
    return steps(f"{name}.layers", f"{name}.", {0: "proj_in", 1: "layers.0", 2: "proj_out"})


_VISION = (
    named("pos_embed", "pos_embed"),
    named("patch_embed.proj.{leaf}", "patch_embed.projection.{leaf}"),
    named("blocks.{block}.norm{n}.{leaf}", "layers.{block}.layer_norm{n}.{leaf}"),
    named("blocks.{block}.attn.rel_pos_h", "layers.{block}.attn.rel_pos_h"),
    named("blocks.{block}.attn.rel_pos_w", "layers.{block}.attn.rel_pos_w"),
    named("blocks.{block}.attn.qkv.{leaf}", "layers.{block}.attn.qkv.{leaf}"),
    named("blocks.{block}.attn.proj.{leaf}", "layers.{block}.attn.proj.{leaf}"),
    named("blocks.{block}.mlp.lin{n}.{leaf}", "layers.{block}.mlp.lin{n}.{leaf}"),
    *steps("neck", "neck.", {0: "conv1", 1: "layer_norm1", 2: "conv2", 3: "layer_norm2"}),
)
_PROMPTS = (named("point_embeddings.{point}.weight", "point_embed.{point}.weight"), *MASK_PROMPTS)
_BLOCK = "transformer.layers.{layer}."
_DECODER = (
    named("iou_token.weight", "iou_token.weight"),
    named("mask_tokens.weight", "mask_tokens.weight"),
    named(_BLOCK + "{word}.{word2}_proj.{leaf}", _BLOCK + "{word}.{word2}_proj.{leaf}"),
    named(_BLOCK + "mlp.lin{n}.{leaf}", _BLOCK + "mlp.lin{n}.{leaf}"),
    named(_BLOCK + "norm{n}.{leaf}", _BLOCK + "layer_norm{n}.{leaf}"),
    named("transformer.{word}.{word2}_proj.{leaf}", "transformer.{word}.{word2}_proj.{leaf}"),
    named("transformer.norm_final_attn.{leaf}", "transformer.layer_norm_final_attn.{leaf}"),
    *steps("output_upscaling", "", {0: "upscale_conv1", 1: "upscale_layer_norm", 3: "upscale_conv2"}),
    *_perceptron("output_hypernetworks_mlps.{mask}"),
    *_perceptron("iou_prediction_head"),
)

ORIGINAL: tuple[Rule, ...] = (
    *under("image_encoder.", "pixel.vision_encoder.", _VISION),
    shared("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", *("pixel." + name for name in SHARED)),
    *under("prompt_encoder.", "pixel.prompt_encoder.", _PROMPTS),
    *under("mask_decoder.", "pixel.mask_decoder.", _DECODER),
    dropped("pixel_mean", _MEAN),
    dropped("pixel_std", _MEAN),
)
"""The original release: `sam_vit_b_01ec64.pth`, `sam_vit_l_0b3195.pth`, `sam_vit_h_4b8939.pth`."""

MODEL: tuple[Rule, ...] = (
    named("vision_encoder.{rest}", "pixel.vision_encoder.{rest}"),
    named("prompt_encoder.{rest}", "pixel.prompt_encoder.{rest}"),
    named("mask_decoder.{rest}", "pixel.mask_decoder.{rest}"),
    named(SHARED[0], "pixel." + SHARED[0]),
)
"""transformers' SamModel."""

PART: tuple[Rule, ...] = (
    named("encoder.{rest}", "vision_encoder.{rest}"),
    named("mask_decoder.{rest}", "mask_decoder.{rest}"),
    shared("positions.positional_embedding", *SHARED),
    reshaped("no_mask", "prompt_encoder.no_mask_embed.weight", lambda x: x[None], lambda x: x[0]),
    Rule((), ("prompt_encoder.{rest}",), why="points, boxes and masks as prompts; ours are queries alone"),
)
"""Our SamPixelEncoder (theirs, here) and transformers' SamModel."""
