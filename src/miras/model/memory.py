"""What a model computes of one image, once, however many sessions talk about it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from miras.data.images import Canvas
from miras.model.miras import Miras, Seen
from miras.model.pixel import PixelFeatures
from miras.model.slots import KeyValues

__all__ = ["Memory"]


class Memory:
    """An image and what was made of it so far: image tokens, pixel features, keys and values, each when needed."""

    def __init__(self, model: Miras, image: np.ndarray) -> None:
        self.model, self.image = model, image
        self.canvas = Canvas(*image.shape[:2])
        self._seen: Seen | None = None
        self._features: PixelFeatures | None = None
        self._opening: KeyValues | None = None

    @property
    def cells(self) -> Tensor:
        """(G,) bool: grid cells that are image tokens."""
        return self.canvas.cells(self.model.config.image_grid)

    @torch.inference_mode()
    def seen(self) -> Seen:
        """Image tokens and high-resolution maps."""
        if self._seen is None:
            views = self.model.processor.views
            # the share of real pixels stays in float32, as in a batch: bf16 would round cells away
            content = torch.tensor([self.canvas.content], device=self.model.device)
            self._seen = self.model.see(self._view(views.low), self._view(views.high), content)
        return self._seen

    @torch.inference_mode()
    def features(self) -> PixelFeatures:
        """The pixel encoder's features."""
        if self._features is None:
            size = self.model.processor.views.pixel
            pixels = self._view(size) if size else torch.empty(0)
            self._features = self.model.pixel.encode(pixels, self.seen().maps)
        return self._features

    @torch.inference_mode()
    def opening(self) -> KeyValues:
        """Keys and values of the tokens that every conversation about the image begins with, the image's own."""
        if self._opening is None:
            ids = self.model.processor.encoder.opening(int(self.cells.sum()))
            told = torch.tensor([ids], device=self.model.language.rows.device)
            here = torch.zeros(1, dtype=torch.long)
            embeddings = self.model.embed(told, self.seen().tokens, self.cells[None].to(told.device), here)
            cache = DynamicCache()
            self.model.language.states(embeddings, None, None, cache)
            layers: list[Any] = cache.layers
            self._opening = [(layer.keys, layer.values) for layer in layers]
        return self._opening

    def parts(self) -> Iterator[np.ndarray | Tensor]:
        """What is held here, the image first."""
        yield self.image
        if self._seen is not None:
            yield from (self._seen.tokens, *self._seen.maps)
        yield from (part for part in vars(self._features or object).values() if isinstance(part, Tensor))
        yield from (part for pair in self._opening or () for part in pair)

    def forget(self) -> None:
        """Keep only the image; the rest is computed again when it is needed."""
        self._seen = self._features = self._opening = None

    def _view(self, size: int) -> Tensor:
        """(1, 3, size, size) in the dtype of the mask path, which may be finer than the language model's."""
        like = self.model.mask_projector.mean
        return self.canvas.view(self.image, size)[None].to(like).contiguous(memory_format=torch.channels_last)
