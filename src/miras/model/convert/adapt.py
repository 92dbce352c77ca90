"""The weights of one part out of any checkpoint that is known to hold it, under transformers' names."""

from collections.abc import Mapping

from torch import Tensor

from miras.errors import CheckpointError
from miras.model.convert.layouts import recognise
from miras.model.convert.rename import rename
from miras.model.convert.rows import with_rows

__all__ = ["PARTS", "adapt"]

PARTS = {
    "language": "LlamaForCausalLM",
    "low": "CLIPVisionModel",
    "high": "ConvNextModel",
    "pixel": "SamModel or Sam2Model",
    "vision_projector": "LLaVA's projector: linear_1 and linear_2, or linear_1 alone",
    "mask_projector": "LISA's projector of [SEG]: layers 0 and 2",
}
"""Part of a model → what names its weights are given."""


def adapt(part: str, state: Mapping[str, Tensor], *, rows: int | None = None) -> dict[str, Tensor]:
    """The part's weights under the names of transformers' own module, out of a checkpoint of any known layout.

    Weights of other parts are left out, as is what a part has no place for (`miras.model.convert.layouts`). Tensors
    are not copied. `rows` sets the number of tokens of a language model. Raises CheckpointError where no layout
    knows all of the names, naming the first that each did not know, and where the checkpoint has no such part.
    """
    if part not in PARTS:
        raise CheckpointError(f"parts are {', '.join(PARTS)}, got {part!r}; name one of them")
    layout = recognise(state)
    common = rename(state, layout.rules).state
    found = {name.removeprefix(f"{part}."): x for name, x in common.items() if name.startswith(f"{part}.")}
    if not found:
        held = sorted({name.partition(".")[0] for name in common})
        raise CheckpointError(
            f"the part {part} ({PARTS[part]}) should be in the checkpoint, which has {', '.join(held) or 'nothing'} "
            f"({layout.what}); give another checkpoint"
        )
    return found if rows is None or part != "language" else with_rows(found, rows)
