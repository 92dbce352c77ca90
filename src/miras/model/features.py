"""What frozen encoders make of an image, as named tensors that can be kept and later take the place of its views.

====== ==============================================================================================
low    the low-resolution encoder's map
cells  what a frozen fusion makes of both encoders, for the projector; then neither's maps are kept for it
high.n high-resolution maps: as a pyramid takes them, else only those of the fusion, on its grid
pixel.… the features of a pixel encoder that looks at the image itself, such as SAM
====== ==============================================================================================
"""

import hashlib
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from miras.config import PARTS
from miras.errors import BatchError, ConfigError
from miras.types import Batch

if TYPE_CHECKING:
    from miras.model.miras import Miras

__all__ = ["FrozenEncoders"]

_FORMAT = 1
"""Of what is kept; another number makes it be computed anew."""


class FrozenEncoders:
    """The encoders of a model, as far as their features are wanted and none of their weights is trained."""

    def __init__(self, model: "Miras", *, tokens: bool) -> None:
        """`tokens`: whether image tokens are wanted. Raises ConfigError naming an encoder's part that is trained."""
        self.model, self.tokens = model, tokens
        vision, views = model.vision, model.processor.views
        self.marks = views.pixel is not None
        """Whether the pixel encoder looks at the image itself."""
        self.fused = tokens and vision.fusion is not None and not _trained(vision.fusion)
        """Whether the fusion's results are kept, instead of what it looks at."""
        pixel = model.pixel.named_children() if self.marks else ()
        encoders = {"vision.low": vision.low, "vision.high": vision.high}
        encoders |= {f"pixel.{name}": part for name, part in pixel if name not in ("mask_decoder", "positions")}
        self._encoders: dict[str, nn.Module] = {name: part for name, part in encoders.items() if part is not None}
        unused = set() if tokens else {"vision.low"}
        if self.marks and not (tokens and vision.fusion is not None):
            unused.add("vision.high")
        self.used = sorted(set(self._encoders) - unused)
        """Names of the encoders whose features are kept."""
        for name, module in self._encoders.items():
            if trained := _trained(module):
                weight = f"{name}.{trained}"
                part = next((part for part, pattern in PARTS.items() if re.match(pattern, weight)), weight)
                raise ConfigError(f"features are of frozen encoders, but {part} is trained; leave it out of parts")

    @torch.no_grad()
    def look(self, batch: Batch) -> dict[str, Tensor]:
        """The features (I, …) of a batch's images."""
        model, vision = self.model, self.model.vision
        maps = model.maps(batch) if "vision.high" in self.used else ()
        kept = dict[str, Tensor]()
        if self.marks:
            found = model.pixel.encode(batch.pixel, maps)
            made = {field.name: getattr(found, field.name) for field in fields(found)}
            kept = {f"pixel.{name}": value for name, value in made.items() if value is not None}
        if self.tokens:
            encode: Any = vision.low
            low = encode(batch.low)[-1]
            if self.fused:
                kept["cells"] = vision.cells(low, maps, batch.content)
                maps = () if self.marks else maps
            else:
                kept["low"] = low
                if self.marks and vision.fusion is not None:
                    maps = vision.fusion.on_grid(vision.seen_by_fusion(maps), low.shape[-1])
        return kept | {f"high.{number}": one for number, one in enumerate(maps)}

    def fingerprint(self) -> str:
        """A hash of the encoders' weights, the sizes of the views and of what is kept of them."""
        model, fusion = self.model, self.model.vision.fusion
        names = ("low", "high", "fusion", "fusion_cells", "fusion_residual", "token_positions")
        shape = {name: getattr(model.config, name) for name in (*names, *(["pixel"] if self.marks else []))}
        about = (_FORMAT, self.tokens, self.fused, sorted(vars(model.processor.views).items()), shape)
        digest = hashlib.blake2b(repr(about).encode(), digest_size=8)
        hashed = {name: self._encoders[name] for name in self.used}
        if self.fused and fusion is not None:
            hashed["vision.fusion"] = fusion
        for name, module in hashed.items():
            for weight, value in module.state_dict().items():
                digest.update(f"{name}.{weight} {value.dtype} {tuple(value.shape)}".encode())
                digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def leave(self) -> None:
        """Take all encoders out of the model, which from now on needs batches with features."""
        for name in self._encoders:
            self.model.set_submodule(name, _Left())


class _Left(nn.Module):
    """Stands where an encoder was."""

    def forward(self, *_: Any) -> Any:
        raise BatchError("the frozen encoders were left out, as their features are kept; collate batches with features")


def _trained(module: nn.Module) -> str | None:
    """The name of the first weight that is trained."""
    return next((name for name, weight in module.named_parameters() if weight.requires_grad), None)
