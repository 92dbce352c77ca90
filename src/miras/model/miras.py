"""MIRAS (paper, figure 4): see with two encoders, think with a language model, mark pixels with a mask decoder."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from miras.data.encode import IGNORE
from miras.errors import BatchError, ConfigError
from miras.model.alignment import MaskProjector, SemanticAlignment, gather_spans
from miras.model.configuration import MirasConfig
from miras.model.language import Language
from miras.model.pixel import PixelFeatures, PyramidPixelEncoder
from miras.model.processing import MirasProcessor
from miras.model.quick import DECODES
from miras.model.vision import DualVisualEncoder
from miras.types import Batch, ModelOutput

if TYPE_CHECKING:
    from miras.model.sam import SamPixelEncoder
    from miras.model.sam2 import Sam2PixelEncoder
    from miras.model.session import Session

__all__ = ["Miras", "Seen"]


@dataclass
class Seen:
    """What the encoders keep of some images."""

    tokens: Tensor
    """(I, G, D) image tokens of the whole grid."""
    maps: tuple[Tensor, ...]
    """(I, C, h, w) high-resolution feature maps."""


class Miras(PreTrainedModel):
    """The whole model; its parts arrive built (see `miras.model.build`)."""

    config_class = MirasConfig
    config: MirasConfig
    base_model_prefix = "miras"
    main_input_name = "input_ids"

    def __init__(
        self,
        config: MirasConfig,
        *,
        vision: DualVisualEncoder,
        language: Language,
        mask_projector: MaskProjector,
        alignment: SemanticAlignment | None,
        pixel: "PyramidPixelEncoder | SamPixelEncoder | Sam2PixelEncoder",
        processor: MirasProcessor,
    ) -> None:
        super().__init__(config)
        self.vision, self.language = vision, language
        self.mask_projector, self.alignment = mask_projector, alignment
        self.pixel: Any = pixel
        self.processor = processor
        self.frozen_stages = 0
        """Stages of the high-resolution encoder that run without gradient."""

    def forward(self, batch: Batch) -> ModelOutput:
        """One teacher-forced pass: embed the text, see, think, align, decode."""
        maps = self.maps(batch)
        image_tokens = self.image_tokens(batch, maps)
        embeddings = self.embed(batch.input_ids, image_tokens, batch.cells, batch.row_image)
        states = self.language.batch_states(embeddings, batch)  # (B, T, D)
        logits, labels = self._trained_logits(states, batch.labels)
        queries = self.queries(states, batch.seg_row, batch.obj_span)  # (S, Q)
        mask_logits, iou = self.mark_batch(queries, batch, maps)
        return ModelOutput(logits, labels, mask_logits, iou, image_tokens)

    def see(self, low: Tensor, high: Tensor, content: Tensor) -> Seen:
        """Views (I, 3, h, w) and content (I, 2) → image tokens and high-resolution maps."""
        maps = self._high_maps(high)
        return Seen(self.vision(low, maps, content), maps)

    def maps(self, batch: Batch) -> tuple[Tensor, ...]:
        """High-resolution maps of a batch's images (I, C, h, w), computed or as they were kept."""
        if batch.features is None:
            return self._high_maps(batch.high)
        names = sorted(name for name in batch.features if name.startswith("high."))
        return tuple(self._kept(batch.features[name]) for name in names)

    def image_tokens(self, batch: Batch, maps: tuple[Tensor, ...]) -> Tensor:
        """Image tokens (I, G, D) of a batch, from its low view and maps or from what was kept."""
        if batch.features is None:
            return self.vision(batch.low, maps, batch.content)
        if "cells" in batch.features:
            return self.vision.projector(self._kept(batch.features["cells"]))
        return self.vision.projector(self.vision.cells(self._kept(batch.features["low"]), maps, batch.content))

    def _high_maps(self, high: Tensor) -> tuple[Tensor, ...]:
        """High-resolution maps of a view (I, 3, h, w); none where the model has no such encoder."""
        encoder: Any = self.vision.high
        if encoder is None:
            return ()
        return encoder(high, self.frozen_stages) if self.frozen_stages else encoder(high)

    def _kept(self, features: Tensor) -> Tensor:
        """Kept features in the type and memory order in which they were computed."""
        plain = features.to(self.mask_projector.mean.dtype)
        return plain.contiguous(memory_format=torch.channels_last) if plain.ndim == 4 else plain

    def embed(self, ids: Tensor, image_tokens: Tensor, cells: Tensor, row_image: Tensor) -> Tensor:
        """Ids (B, T) → embeddings (B, T, D), with image tokens on their placeholders.

        Raises BatchError unless each row has one placeholder per real cell of its image.
        """
        embeddings = self.language.embed(ids)
        places = ids == self.processor.encoder.image_id
        wanted = cells[row_image]  # (B, G)
        if not torch.equal(places.sum(1), wanted.sum(1)):
            raise BatchError(
                f"one placeholder per image token is needed: {wanted.sum(1).tolist()} image tokens, "
                f"{places.sum(1).tolist()} placeholders"
            )
        row, cell = wanted.nonzero(as_tuple=True)
        tokens = image_tokens[row_image[row], cell].to(embeddings)
        return embeddings.masked_scatter(places[..., None], tokens)

    def queries(self, states: Tensor, row: Tensor, span: Tensor, *, bypass: bool = False) -> Tensor:
        """States (B, T, D), row of each [SEG] (S,), its span (S, 2) → mask queries (S, Q).

        `bypass` skips the alignment, as a control of what it adds.
        """
        if not len(row):
            return states.new_zeros(0, self.config.query_width)
        shift = 1 if self.config.seg_state == "predicting" else 0
        around, length = gather_spans(states, row, span - shift)
        projected = self.mask_projector(around)  # (S, n, Q)
        seg = projected[torch.arange(len(length), device=length.device), length - 1]
        if self.alignment is None or bypass:
            return seg
        named = span[:, 0] < span[:, 1]
        return torch.where(named[:, None], self.alignment(seg, projected, length), seg)

    def mark(self, queries: Tensor, features: PixelFeatures, image: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (S, Q) and which image each is about (S,) → mask logits (S, h, w), IoU estimates (S,)."""
        if not len(queries):
            nothing = features.embedding.sum() * 0 + queries.sum()
            return nothing + queries.new_zeros(0, 1, 1), nothing + queries.new_zeros(0)
        return self.pixel.decode(queries, features, image)

    def mark_batch(self, queries: Tensor, batch: Batch, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """`mark` for a batch and the maps of its images, of which only those that hold a target are encoded."""
        kept = {
            name.removeprefix("pixel."): value for name, value in (batch.features or {}).items() if "pixel." in name
        }
        if kept:
            features = PixelFeatures(**{name: self._kept(value[batch.marked]) for name, value in kept.items()})
        else:
            views = batch.high if batch.pixel is None else batch.pixel
            features = self.pixel.encode(views[batch.marked], tuple(map_[batch.marked] for map_ in maps))
        return self.mark(queries, features, torch.searchsorted(batch.marked, batch.seg_image))

    def _trained_logits(self, states: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Only states that predict a trained token meet the vocabulary: (L, V) logits, (L,) labels."""
        dialogue, place = (labels[:, 1:] != IGNORE).nonzero(as_tuple=True)
        return self.language.logits(states[dialogue, place]), labels[dialogue, place + 1]

    def session(self, image: "str | Path | bytes | np.ndarray[Any, Any]") -> "Session":
        """A conversation about one image; see `miras.model.session`."""
        from miras.model.session import Session

        return Session(self, image)

    def load_session(self, folder: str | Path) -> "Session":
        """A conversation saved with `Session.save`."""
        from miras.model.session import Session

        return Session.load(self, Path(folder))

    def save_pretrained(  # type: ignore[override]
        self, save_directory: str | PathLike[str], *, frozen: bool = True, **_: Any
    ) -> None:
        """Write config, processor and weights; `frozen=False` leaves out what comes from pinned sources."""
        from miras.model.checkpoint import save

        save(self, Path(save_directory), frozen=frozen)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, name_or_folder: str | PathLike[str], *_: Any, **options: Any
    ) -> "Miras":
        """A saved model, or the embedded `nano`, in `dtype`; `merge_lora=True` answers faster but is not to be trained.

        `sources` names other folders for the parts that a checkpoint of trained weights leaves out.
        `quantize="nf4"` keeps the language model in 4 bits, through bitsandbytes (`miras[quantize]`).
        `decode="int8"` writes answers in 8 bits on a processor, through numba (`miras[quick]`), and folds LoRA in;
        "auto" does so where it can be done and LoRA is folded in; "float" or None never does.
        Raises CheckpointError for anything that does not match.
        """
        from miras.model.checkpoint import load

        if (kind := options.get("quantize")) not in (None, "nf4"):
            raise ConfigError(f"quantize is nf4 or None, got {kind!r}; leave it out for the weights as they are")
        if (way := options.get("decode")) not in (None, *DECODES):
            raise ConfigError(
                f"decode is one of {DECODES} or None, got {way!r}; leave it out for the weights as they are"
            )
        known = {key: options[key] for key in ("dtype", "merge_lora", "sources", "decode") if key in options}
        return load(name_or_folder, quantized=kind is not None, **known)
