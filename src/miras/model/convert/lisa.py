"""A release of LISA and the CLIP that it looks through → one of our models (Lai et al. 2024).

LISA is a case of our model: one encoder, one linear projector, SAM, a mask query from the state that predicts [SEG],
and no alignment. All of its weights are taken. What it has not, the rows of [OBJ] and of the image token, starts as
in a new model.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from miras import tokens
from miras.errors import CheckpointError
from miras.files import made_beside
from miras.model.build import build
from miras.model.configuration import MirasConfig, preset
from miras.model.convert.layouts import find
from miras.model.convert.part import adapt
from miras.model.convert.rename import rename
from miras.model.convert.rows import TABLES
from miras.model.convert.vocabulary import without_seg
from miras.model.convert.writing import write_shards
from miras.model.processing import MirasProcessor
from miras.model.weights import read_weights

__all__ = ["LisaWeights", "convert_lisa", "lisa_weights"]

_WRITTEN = ("config.json", "processor_config.json", "*.safetensors", "*.index.json", "tokenizer*", "*.jinja")
_SHOWN = 8


@dataclass
class LisaWeights:
    """The weights of one of our models, out of LISA's."""

    state: dict[str, Tensor]
    """Under our own names, without those that LISA lacks."""
    rows: int
    """Tokens of the base vocabulary: LISA's without [SEG]."""
    seg: tuple[Tensor, Tensor]
    """The trained input and output rows (D,) of [SEG]."""
    dropped: dict[str, str]
    """Name of a weight that was left out → why."""


def lisa_weights(lisa: Mapping[str, Tensor], clip: Mapping[str, Tensor], *, seg: int) -> LisaWeights:
    """LISA's weights and CLIP's under our names; [SEG]'s row, number `seg`, is taken out of the vocabulary.

    Raises CheckpointError where names are not LISA's or CLIP's, and where the vocabulary has no such row.
    """
    common = rename(lisa, find("lisa").rules)
    weights = {name: tensor for name, tensor in common.state.items() if not name.startswith("low.")}
    weights |= {f"low.{name}": tensor for name, tensor in adapt("low", clip).items()}
    taken: list[Tensor] = []
    for table in (f"language.{name}" for name in TABLES):
        if table not in weights or not 0 <= seg < len(weights[table]):
            size = len(weights[table]) if table in weights else 0
            raise CheckpointError(f"{table} should have a row {seg} for {tokens.SEG}, got {size} rows; fetch it again")
        rows = weights[table]
        taken.append(rows[seg].clone())
        weights[table] = rows[:seg] if seg == len(rows) - 1 else torch.cat([rows[:seg], rows[seg + 1 :]])
    size = len(weights[f"language.{TABLES[0]}"])
    ours = rename(weights, find("miras").rules, reverse=True)
    return LisaWeights(dict(ours.state), size, (taken[0], taken[1]), common.dropped | ours.dropped)


def convert_lisa(
    lisa: Path,
    clip: Path,
    to: Path,
    *,
    config: MirasConfig | None = None,
    dtype: torch.dtype | None = None,
    begin: Callable[[int], None] = lambda _: None,
    done: Callable[[int], None] = lambda _: None,
) -> LisaWeights:
    """Write a folder of ours from a release of LISA and one of CLIP; it is whole or absent.

    `config` is that of the preset `lisa-7b`, with the vocabulary that LISA turns out to have. Raises CheckpointError
    listing every weight of the model that neither has, and every one of theirs that the model has no place for.
    """
    tokenizer, seg = without_seg(lisa)
    weights = lisa_weights(read_weights(lisa), read_weights(clip), seg=seg)
    config = config if config is not None else preset("lisa-7b")
    config.language = config.language | {"vocab_size": weights.rows, "tie_word_embeddings": False}
    processor = MirasProcessor.build(config, tokenizer)
    with torch.device("meta"):
        wanted = build(config, processor).state_dict()
    state = _whole(weights, wanted, processor.meanings())
    begin(sum(tensor.numel() * (dtype or tensor.dtype).itemsize for tensor in state.values()))
    with made_beside(to, replacing=_WRITTEN) as place:
        write_shards(state, place, dtype=dtype, done=done)
        settings = config.to_dict() | {"architectures": ["Miras"], "sources": {}}
        (place / "config.json").write_text(json.dumps(settings, indent=2, default=str) + "\n", encoding="utf-8")
        processor.save_pretrained(place)
    return weights


def _whole(weights: LisaWeights, wanted: Mapping[str, Tensor], meanings: list[list[int]]) -> dict[str, Tensor]:
    """The model's every weight: LISA's, and those that start as in a new model. Raises CheckpointError."""
    state = dict(weights.state)
    for row, tables in enumerate(f"language.lm.{name}" for name in TABLES):
        new = [state[tables][ids].float().mean(0).to(state[tables].dtype) for ids in meanings]
        new[tokens.SPECIAL.index(tokens.SEG)] = weights.seg[row]
        state["language.out_rows" if row else "language.rows"] = torch.stack(new)
    made = {"mask_projector.mean": torch.zeros, "mask_projector.deviation": torch.ones}
    whole: dict[str, Tensor] = {}
    generator = torch.Generator().manual_seed(0)
    for name, like in wanted.items():
        if (found := state.pop(name.replace(".base_layer.", "."), None)) is not None:
            whole[name] = found
        elif name in made:
            whole[name] = made[name](like.shape)
        elif ".lora_B." in name:
            whole[name] = torch.zeros(like.shape)
        elif ".lora_A." in name:
            whole[name] = nn.init.kaiming_uniform_(torch.empty(like.shape), a=5**0.5, generator=generator)
    _check(whole, state, wanted)
    return whole


def _check(whole: Mapping[str, Tensor], left: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    problems = [f"missing {name}" for name in wanted if name not in whole]
    problems += [f"no place for {name}" for name in left]
    problems += [
        f"{name} should be {tuple(wanted[name].shape)}, got {tuple(tensor.shape)}"
        for name, tensor in whole.items()
        if tensor.shape != wanted[name].shape
    ]
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CheckpointError(
            f"LISA and CLIP should hold what the model has: {'; '.join(problems[:_SHOWN])}{more}; "
            "is it the right CLIP, and a whole release?"
        )
