"""A checkpoint converted: a file or folder in one layout → a folder in transformers' layout, or back."""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlavaConfig, LlavaNextConfig, PreTrainedConfig

from miras.errors import ConfigError
from miras.files import made_beside
from miras.model.convert.layouts import LAYOUTS, Layout, find, recognise
from miras.model.convert.rename import rename
from miras.model.convert.rows import LLAMA_ROWS, with_rows
from miras.model.convert.shapes import check, configuration
from miras.model.convert.writing import write_shards, write_torch
from miras.model.weights import read_config, read_weights

__all__ = ["WRITTEN", "Converted", "convert", "reversible"]

WRITTEN = ("config.json", "*.safetensors", "*.safetensors.index.json")
"""What converting replaces in an older folder; all else there stays."""
_TOKENIZER = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "generation_config.json")
_TORCH = (".pth", ".pt", ".bin")
_FILLED = 64
"""Rows of llava-hf's tables are a multiple of so many, with two more for <image> and padding."""
_CLASSES = {
    "convnext": "ConvNextModel", "sam": "SamModel", "clip_vision_model": "CLIPVisionModel",
    "llama": "LlamaForCausalLM", "llava": "LlavaForConditionalGeneration",
    "llava_next": "LlavaNextForConditionalGeneration",
}  # fmt: skip


@dataclass
class Converted:
    """What a conversion did."""

    source: str
    """The layout that was read."""
    to: str
    """The layout that was written."""
    weights: int
    dropped: dict[str, int] = field(default_factory=dict)
    """Why weights were left out → how many."""
    notes: list[str] = field(default_factory=list)
    """What else one should know of the result."""


def reversible() -> list[str]:
    """The layouts of others that transformers' can be turned back into."""
    return [layout.name for layout in LAYOUTS if layout.hub and layout.hub != layout.name]


def convert(
    source: Path,
    to: Path,
    *,
    layout: str = "auto",
    reverse: bool = False,
    rows: int | None = None,
    dtype: torch.dtype | None = None,
    begin: Callable[[int], None] = lambda _: None,
    done: Callable[[int], None] = lambda _: None,
) -> Converted:
    """Convert to transformers' layout, or with `reverse` from it to `layout`; what is written is whole or absent.

    A folder gets safetensors and, from others' layouts, transformers' config.json and the tokenizer's files; a `to`
    that ends in .pth, .pt or .bin is one file of torch's. `rows` sets the tokens of a language model. `begin` hears
    of all bytes, `done` of those that are written. Raises CheckpointError and ConfigError.
    """
    _check_places(source, to, reverse, layout)
    state = read_weights(source)
    read = find(layout) if layout != "auto" and not reverse else recognise(state)
    written = find(layout) if reverse else _hub(read)
    common = rename(state, read.rules)
    notes: list[str] = []
    sized = _with_rows(common.state, _rows(common.state, written, rows), notes)
    given = read_config(source)
    config = _checked(sized, given, written, notes)
    out = rename(sized, written.rules, reverse=True)
    begin(sum(_bytes(tensor, dtype) for tensor in out.state.values()))
    if to.suffix in _TORCH:
        write_torch(out.state, to, dtype=dtype)
    else:
        with made_beside(to, replacing=WRITTEN) as place:
            write_shards(out.state, place, dtype=dtype, done=done)
            if config is not None and not reverse:
                _describe(place, config, dtype)
            _copy_tokenizer(source, place)
    reasons = Counter([*common.dropped.values(), *out.dropped.values()])
    return Converted(read.name, written.name, len(out.state), dict(reasons), notes)


def _check_places(source: Path, to: Path, reverse: bool, layout: str) -> None:
    if source.resolve() == to.resolve():
        raise ConfigError(f"the result should lie elsewhere than {source}, got the same place; give another")
    if reverse and layout not in reversible():
        raise ConfigError(f"with --reverse a layout is one of {', '.join(reversible())}, got {layout}; choose one")
    if to.suffix in _TORCH and not reverse:
        raise ConfigError(f"transformers' layout is a folder, got the file {to}; give a folder")


def _hub(layout: Layout) -> Layout:
    if not layout.hub:
        raise ConfigError(
            f"transformers has no model that holds what a checkpoint of {layout.what} does; "
            "a model of LISA's becomes one of ours with --clip"
        )
    return find(layout.hub)


def _rows(common: Mapping[str, Tensor], written: Layout, rows: int | None) -> int | None:
    """The rows wanted; llava-hf needs some for <image> and padding, which LLaVA's own release does not know."""
    if rows is not None or (table := common.get("language.model.embed_tokens.weight")) is None:
        return rows
    if written.name == "llava-hf" and len(table) == LLAMA_ROWS:
        return -(-(LLAMA_ROWS + 2) // _FILLED) * _FILLED
    return LLAMA_ROWS if written.name == "llava" else None


def _with_rows(common: Mapping[str, Tensor], rows: int | None, notes: list[str]) -> Mapping[str, Tensor]:
    table = common.get("language.model.embed_tokens.weight")
    if rows is None or table is None or rows == len(table):
        return common
    made = "the new ones are the mean of all others" if rows > len(table) else "those at the end are cut off"
    notes.append(f"the vocabulary has {rows} rows instead of {len(table)}: {made}")
    return with_rows(common, rows, before="language.")


def _checked(
    common: Mapping[str, Tensor], given: Mapping[str, Any], written: Layout, notes: list[str]
) -> PreTrainedConfig | None:
    """The configuration of the whole; None, which is noted, where only some parts of a model were given."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in common.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    if written.hub == "sam2-hf":
        notes.append("no config.json: take the one of the same size from facebook/sam2-hiera or sam2.1-hiera")
        return None
    configs: dict[str, PreTrainedConfig] = {}
    for part in parts.keys() & {"language", "low", "high", "pixel"}:
        configs[part] = configuration(part, parts[part], given)
        check(part, parts[part], configs[part])
    if written.hub in ("convnext", "sam-hf", "clip", "llama"):
        return next(iter(configs.values()))
    if lacking := sorted({"language", "low", "projector"} - parts.keys()):
        notes.append(f"no config.json: the checkpoint lacks {', '.join(lacking)}")
        return None
    settings: dict[str, Any] = {
        "text_config": configs["language"].to_dict(),
        "vision_config": configs["low"].to_dict(),
        "vision_feature_layer": given.get("mm_vision_select_layer", -2),
    }
    if "image_newline" not in parts:
        return LlavaConfig(**settings)
    return LlavaNextConfig(**settings, image_grid_pinpoints=given.get("image_grid_pinpoints"))


def _describe(place: Path, config: PreTrainedConfig, dtype: torch.dtype | None) -> None:
    config.architectures = [_CLASSES[config.model_type]]
    if dtype is not None:
        config.dtype = dtype
    (place / "config.json").write_text(config.to_json_string(use_diff=False), encoding="utf-8")


def _copy_tokenizer(source: Path, place: Path) -> None:
    for pattern in _TOKENIZER if source.is_dir() else ():
        for path in source.glob(pattern):
            shutil.copyfile(path, place / path.name)


def _bytes(tensor: Tensor, dtype: torch.dtype | None) -> int:
    return tensor.numel() * (
        dtype.itemsize if dtype is not None and tensor.is_floating_point() else tensor.element_size()
    )
