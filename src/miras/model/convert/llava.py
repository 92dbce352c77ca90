"""Names of LLaVA, of LISA, which is made from it, and of the two towers that it is made of."""

from miras.model.convert.convnext import TEXT_TOWER
from miras.model.convert.rename import Rule, dropped, named, split, under
from miras.model.convert.sam import ORIGINAL as SAM

__all__ = ["CLIP", "HUB", "LISA", "LLAMA", "MEMORY", "OPENAI", "ORIGINAL"]

_ROTARY = "angles of positions, which are computed"
_NUMBERS = "numbers of positions, which are computed"


def _language(before: str, head: str) -> tuple[Rule, ...]:
    """LlamaForCausalLM with other words before its layers and its output embedding."""
    inside = (
        named("embed_tokens.weight", "embed_tokens.weight"),
        named("norm.weight", "norm.weight"),
        named("layers.{layer}.self_attn.{word}_proj.weight", "layers.{layer}.self_attn.{word}_proj.weight"),
        named("layers.{layer}.mlp.{word}_proj.weight", "layers.{layer}.mlp.{word}_proj.weight"),
        named("layers.{layer}.{word}_layernorm.weight", "layers.{layer}.{word}_layernorm.weight"),
    )
    return (
        *under(before, "language.model.", inside),
        dropped(f"{before}layers.{{layer}}.self_attn.rotary_emb.inv_freq", _ROTARY),
        named(f"{head}.weight", "language.lm_head.weight"),
    )


def _vision(before: str) -> tuple[Rule, ...]:
    """CLIPVisionModel with other words before its names."""
    inside = (
        named("embeddings.class_embedding", "embeddings.class_embedding"),
        named("embeddings.{word}_embedding.weight", "embeddings.{word}_embedding.weight"),
        named("{word}norm.{leaf}", "{word}norm.{leaf}"),
        named("encoder.layers.{layer}.{rest}", "encoder.layers.{layer}.{rest}"),
    )
    return (dropped(f"{before}embeddings.position_ids", _NUMBERS), *under(before, "low.", inside))


LLAMA: tuple[Rule, ...] = _language("model.", "lm_head")
"""transformers' LlamaForCausalLM, such as Vicuna."""

CLIP: tuple[Rule, ...] = (
    *_vision("vision_model."),
    *_vision(""),
    dropped("text_model.{rest}", "the text tower of CLIP; we take the image tower"),
    dropped("{word}_projection.weight", "projections into CLIP's space; we take an inner layer"),
    dropped("logit_scale", "CLIP's temperature"),
)
"""transformers' CLIPVisionModel or whole CLIPModel, as on the hub or in memory."""

_BLOCK, _LAYER = "visual.transformer.resblocks.{layer}.", "low.encoder.layers.{layer}."
_QKV = tuple(_LAYER + f"self_attn.{side}_proj." for side in "qkv")

OPENAI: tuple[Rule, ...] = (
    named("visual.class_embedding", "low.embeddings.class_embedding"),
    named("visual.positional_embedding", "low.embeddings.position_embedding.weight"),
    named("visual.conv1.weight", "low.embeddings.patch_embedding.weight"),
    named("visual.ln_pre.{leaf}", "low.pre_layrnorm.{leaf}"),
    named("visual.ln_post.{leaf}", "low.post_layernorm.{leaf}"),
    split(_BLOCK + "attn.in_proj_weight", *(name + "weight" for name in _QKV)),
    split(_BLOCK + "attn.in_proj_bias", *(name + "bias" for name in _QKV)),
    named(_BLOCK + "attn.out_proj.{leaf}", _LAYER + "self_attn.out_proj.{leaf}"),
    named(_BLOCK + "ln_{n}.{leaf}", _LAYER + "layer_norm{n}.{leaf}"),
    named(_BLOCK + "mlp.c_fc.{leaf}", _LAYER + "mlp.fc1.{leaf}"),
    named(_BLOCK + "mlp.c_proj.{leaf}", _LAYER + "mlp.fc2.{leaf}"),
    dropped("visual.proj", "the projection into CLIP's space; we take an inner layer"),
    *TEXT_TOWER,
)
"""OpenAI's CLIP with a ViT, and OpenCLIP's under the same names."""

ORIGINAL: tuple[Rule, ...] = (
    *_language("model.", "lm_head"),
    named("model.mm_projector.0.{leaf}", "projector.linear_1.{leaf}"),
    named("model.mm_projector.2.{leaf}", "projector.linear_2.{leaf}"),
    *_vision("model.vision_tower.vision_tower.vision_model."),
    named("model.image_newline", "image_newline"),
)
"""LLaVA's own releases, such as liuhaotian/llava-v1.6-vicuna-7b, and their `mm_projector.bin`."""

HUB: tuple[Rule, ...] = (
    *_language("language_model.model.", "language_model.lm_head"),
    named("multi_modal_projector.linear_{n}.{leaf}", "projector.linear_{n}.{leaf}"),
    *_vision("vision_tower.vision_model."),
    named("image_newline", "image_newline"),
)
"""transformers' LlavaForConditionalGeneration and LlavaNext…, as on the hub: llava-hf/llava-v1.6-vicuna-7b-hf."""

MEMORY: tuple[Rule, ...] = (
    *_language("model.language_model.", "lm_head"),
    named("model.multi_modal_projector.linear_{n}.{leaf}", "projector.linear_{n}.{leaf}"),
    *_vision("model.vision_tower."),
    *_vision("model.vision_tower.vision_model."),
    named("model.image_newline", "image_newline"),
)
"""The same as transformers 5 has them in memory."""

LISA: tuple[Rule, ...] = (
    *_language("model.", "lm_head"),
    named("model.mm_projector.{leaf}", "projector.linear_1.{leaf}"),
    *_vision("model.vision_tower.vision_tower.vision_model."),
    named("model.text_hidden_fcs.0.{n}.{leaf}", "mask_projector.{n}.{leaf}"),
    *under("model.visual_model.", "", SAM),
)
"""LISA's releases, such as xinlai/LISA-7B-v1."""
