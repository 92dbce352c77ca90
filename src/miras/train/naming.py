"""Region naming: which word each target of a batch should draw its image tokens to."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from miras.data.questions import COLORS, COLUMNS, ROWS
from miras.model.miras import Miras
from miras.model.naming import RegionNaming, coverage
from miras.types import Batch

__all__ = ["Naming"]

_QUALIFIED = re.compile(r"(\w+most|largest|smallest) ")


class Naming(nn.Module):
    """Compares the image tokens of a batch with the names and colours of its targets."""

    def __init__(self, regions: RegionNaming, names: Sequence[str]) -> None:
        super().__init__()
        self.regions = regions
        self._names = {name: index for index, name in enumerate(names)}

    @classmethod
    def of(cls, model: Miras, phrases: Sequence[str]) -> "Naming":
        """The phrases that are plain names, colours and places, as the model's language part embeds them."""
        names = [phrase for phrase in phrases if not _QUALIFIED.match(phrase)]
        words = model.language.lm.get_input_embeddings().get_parameter("weight").detach()
        # words inside a text begin with a space, and it is those that image tokens should resemble
        lists = {"names": names, "colors": COLORS, "rows": ROWS, "columns": COLUMNS}
        inside = {kind: [model.processor.encoder.text(f" {word}") for word in each] for kind, each in lists.items()}
        regions = RegionNaming.from_words(words, **inside)
        return cls(regions, names)

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        """Image tokens (I, G, D) → loss over all places and over the targets that are shown and go by a known name."""
        grid = round(tokens.shape[1] ** 0.5)
        shown = batch.masks.flatten(1).any(1).tolist() if len(batch.masks) else []
        known = [self._names.get(self._plain(phrase)) for phrase in batch.phrases]
        kept = [index for index, name in enumerate(known) if name is not None and shown[index]]
        device = tokens.device
        names = [known[index] for index in kept]
        colors = [COLORS.index(color) if (color := batch.colors[index]) in COLORS else -1 for index in kept]
        rows = torch.tensor(kept, dtype=torch.long, device=device)
        cover = coverage(batch.masks[rows], grid) if kept else tokens.new_zeros(0, tokens.shape[1])
        return self.regions(
            tokens,
            batch.content,
            cover,
            batch.seg_image[rows],
            torch.tensor(names, dtype=torch.long, device=device),
            torch.tensor(colors, dtype=torch.long, device=device),
        )

    @staticmethod
    def _plain(phrase: str) -> str:
        """The name without the words that pick one of several."""
        return _QUALIFIED.sub("", phrase)
