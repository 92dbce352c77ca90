"""Masks from boxes through the project's own mask decoder: what nano marks for the words beside a box, cut to the box.

Nano's decoder knows no boxes; it is asked for words. The words are those that the general model wrote beside its box,
never the true ones. A box without words stays as it is.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from miras.data.masks import decode, encode
from miras.llm.store import Store, key_of

__all__ = ["MASKS", "Decoder", "Marker"]

MASKS = "nano's mask of the baseline's words inside the box"
"""What the predictions say of such masks; how many boxes stayed as they are is counted."""

_ARTICLE = re.compile(r"^\s*(?:the|an?)\s+", re.IGNORECASE)


class Marker(Protocol):
    """A model that marks what it is asked for."""

    def session(self, image: Any, /) -> Any:
        """A fresh conversation about the image, with `ask`."""
        ...


@dataclass(frozen=True)
class Decoder:
    """Cuts what a model marks to a box; what it has marked is kept, so that a run goes on where it ended."""

    model: Marker
    name: str
    """Tells the model from others: a hash of its weights."""
    store: Store

    def mask(self, image: Path, label: str, inside: np.ndarray) -> np.ndarray | None:
        """The part of the mask of `label` that lies inside a filled box, (H, W) bool; None where there is none."""
        words = _ARTICLE.sub("", label).strip()
        if not words:
            return None
        key = f"mask {key_of([self.name, str(image), words])}"
        if (kept := self.store.note(key)) is None:
            marked = np.zeros_like(inside)
            for target in self.model.session(image).ask(f"Mark the {words}.").targets:
                marked |= target.mask
            kept = json.dumps(encode(marked))
            self.store.write_down(key, kept)
        cut = decode(json.loads(kept)) & inside
        return cut if cut.any() else None
