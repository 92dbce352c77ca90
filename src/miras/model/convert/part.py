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
    "high": "ConvNextModel, or the vision_encoder of Sam2Model",
    "pixel": "SamModel or Sam2Model",
    "projector": "LLaVA's multi_modal_projector: linear_1 and linear_2, or linear_1 alone",
    "mask_projector": "LISA's projector of [SEG]: layers 0 and 2",
}
"""Part of a model → what names its weights are given."""
_ALSO = {"vision_projector": "projector"}
"""What a part is called where it is trained."""


def adapt(part: str, state: Mapping[str, Tensor], *, rows: int | None = None) -> Mapping[str, Tensor]:
    """The part's weights under the names of transformers' own module, out of a checkpoint of any known layout.

    Weights of other parts are left out, as is what a part has no place for (`miras.model.convert.layouts`). A tensor
    is asked of `state` when it is asked of the result, and not copied. `rows` sets the number of tokens of a
    language model. Raises CheckpointError where no layout knows all of the names, naming the first that each did not
    know, and where the checkpoint has no such part.
    """
    part = _ALSO.get(part, part)
    if part not in PARTS:
        raise CheckpointError(f"parts are {', '.join(PARTS)}, got {part!r}; name one of them")
    layout = recognise(state)
    common = rename(state, layout.rules).state
    before = "pixel." if part == "high" and layout.hub == "sam2-hf" else f"{part}."
    names = {name: name.removeprefix(before) for name in common if name.startswith(before)}
    if part == "high" and before == "pixel.":
        names = {name: ours for name, ours in names.items() if ours.startswith("vision_encoder.")}
    if part == "projector":
        names = {name: f"multi_modal_projector.{ours}" for name, ours in names.items()}
    if not names:
        held = sorted({name.partition(".")[0] for name in common})
        raise CheckpointError(
            f"the part {part} ({PARTS[part]}) should be in the checkpoint, which has {', '.join(held) or 'nothing'} "
            f"({layout.what}); give another checkpoint"
        )
    found = common.only(names)
    return found if rows is None or part != "language" else with_rows(found, rows)
