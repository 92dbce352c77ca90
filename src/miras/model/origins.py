"""What weights are called where they come from: the names of transformers' checkpoints → our names.

A checkpoint may hold more than is asked of it, such as LLaVA's folder the language model, its tower and its
projector; each part takes the names that its rules know. Other layouts are `miras.model.convert`'s matter.
"""

import re

from miras.model.configuration import MirasConfig

__all__ = ["PREFIXES", "UNPRETRAINED", "own_name"]

PREFIXES = {
    "language": "language.lm.",
    "low": "vision.low.",
    "high": "vision.high.",
    "projector": "vision.projector.",
    "mask_projector": "mask_projector.",
    "pixel": "pixel.",
}
"""Part → how the names of all its weights begin."""

UNPRETRAINED = re.compile(r"language\.lm\..*\.lora_[AB]\.|mask_projector\.(mean|deviation)$")
"""Weights within these parts that no pretrained checkpoint has."""

_TOWER = r"(?:model\.)?(?:vision_tower\.){0,2}"
_RULES: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("language", ""): [
        (r"(?:language_model\.)?lm_head\.(.*)", r"lm_head.\1"),
        (r"model\.language_model\.(?:model\.)?(.*)|language_model\.model\.(.*)", r"model.\1\2"),
        (r"model\.((?:layers|embed_tokens|norm)\..*)", r"model.\1"),
    ],
    ("low", "clip"): [
        (_TOWER + r"(?:vision_model\.)?((?:embeddings|pre_layrnorm|encoder|post_layernorm)\..*)", r"model.\1"),
    ],
    ("low", "internvit"): [(_TOWER + r"((?:embeddings|encoder|layernorm)\..*)", r"model.\1")],
    ("high", "convnext"): [(r"(?:convnext\.)?((?:embeddings|encoder)\..*)", r"model.\1")],
    ("high", "hiera"): [(r"vision_encoder\.backbone\.(.*)", r"model.\1")],
    ("projector", "mlp"): [
        (r"(?:model\.)?multi_modal_projector\.linear_1\.(.*)", r"0.\1"),
        (r"(?:model\.)?multi_modal_projector\.linear_2\.(.*)", r"2.\1"),
    ],
    ("projector", "norm_mlp"): [
        (r"(?:model\.)?multi_modal_projector\.layer_norm\.(.*)", r"0.\1"),
        (r"(?:model\.)?multi_modal_projector\.linear_1\.(.*)", r"1.\1"),
        (r"(?:model\.)?multi_modal_projector\.linear_2\.(.*)", r"3.\1"),
    ],
    ("projector", "linear"): [
        (r"(?:model\.)?(?:mm_projector|multi_modal_projector\.linear_1)\.(weight|bias)", r"0.\1"),
    ],
    ("mask_projector", ""): [(r"(?:(?:model\.)?text_hidden_fcs\.0\.)?([02]\.(?:weight|bias))", r"layers.\1")],
    ("pixel", "sam"): [(r"vision_encoder\.(.*)", r"encoder.\1")],
    ("pixel", "sam2"): [
        (r"vision_encoder\.(neck\..*)", r"\1"),
        (r"no_memory_embedding", "no_memory"),
    ],
}  # fmt: skip
_SAM = [
    (r"(mask_decoder\..*)", r"\1"),
    (r"shared_image_embedding\.(positional_embedding)", r"positions.\1"),
    (r"prompt_encoder\.no_mask_embed\.weight", "no_mask"),
]
_BUFFERS = re.compile(r".*(\.position_ids|rotary_emb\.inv_freq)$")


def own_name(config: MirasConfig, part: str, name: str) -> str | None:
    """Our name of a weight that a checkpoint calls `name`; None where the part has no such weight."""
    kind = {"projector": config.projector}.get(part) or getattr(config, part, {}).get("kind", "")
    rules = _RULES.get((part, kind), []) + (_SAM if part == "pixel" else [])
    for pattern, ours in rules:
        if (match := re.fullmatch(pattern, name)) and not _BUFFERS.match(name):
            own = PREFIXES[part] + match.expand(ours)
            return _within_lora(own, config) if part == "language" else own
    return None


def _within_lora(name: str, config: MirasConfig) -> str:
    """LoRA wraps its target layers, so their own weights move one level down."""
    layer, _, leaf = name.rpartition(".")
    wrapped = config.lora and layer.rpartition(".")[2] in config.lora["targets"]
    return f"{layer}.base_layer.{leaf}" if wrapped else name
