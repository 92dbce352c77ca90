"""The nouns of the project: Dialogue → Sample → Batch → ModelOutput → Prediction.

Axis letters, used in every shape comment of the project::

    I  images of a batch              B  rows of a batch               T  tokens of a row
    E  dialogues of a batch           N  image tokens of an image      G  cells of the image-token grid
    S  [SEG] tokens of a batch
    C  channels                       D  width of the language model   Q  width of a mask query (256)
    H, W  pixels of the original      h, w  pixels of mask logits      V  vocabulary
    L  tokens that are trained on

A row holds one dialogue, or several about one image behind the opening that they share.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import numpy as np
import torch
from torch import Tensor

from miras import tokens
from miras.errors import BatchError, DialogueError

__all__ = ["Batch", "Dialogue", "Mark", "ModelOutput", "Prediction", "Rle", "Said", "Sample", "Target", "Turn"]


class Rle(TypedDict):
    """A mask as COCO run lengths in the frame of the original image."""

    size: list[int]
    """[height, width] in pixels."""
    counts: str
    """COCO's compressed, column-major run lengths."""


@dataclass(frozen=True)
class Target:
    """One thing to mark: the words for it and, where known, its mask in original pixels."""

    phrase: str
    mask: Rle | None = None
    color: str | None = None
    """Its main colour, where one is annotated."""
    ignore: Rle | None = None
    """Pixels that count neither as right nor as wrong, where there are any."""


@dataclass(frozen=True)
class Turn:
    """One utterance. An assistant's text holds one `[SEG]` per mask that it asks for."""

    role: Literal["user", "assistant"]
    text: str
    trained: bool = True
    """Whether the loss sees an assistant's turn; a user's turn is never trained on."""


@dataclass(frozen=True)
class Dialogue:
    """A conversation about one image, the assistant speaking last.

    `targets` follow the order of the `[SEG]`s over all assistant turns. Raises DialogueError when roles do
    not alternate or when `[SEG]`s and targets do not match.
    """

    turns: tuple[Turn, ...]
    targets: tuple[Target, ...] = ()
    image: str | None = None
    """File name or id of the image."""
    focus: str | None = None
    """What the conversation is about, in words (PRIST's `focus`)."""
    kind: str = "dialogue"
    """What made it, for mixtures and strata: direct, multi_turn, several, question, prist, …"""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for index, turn in enumerate(self.turns):
            expected = ("user", "assistant")[index % 2]
            if turn.role != expected:
                raise DialogueError(
                    f"turn {index} of {self.image or 'a dialogue'} should be spoken by the {expected}, "
                    f"got {turn.role}; roles must alternate and start with the user"
                )
        if len(self.turns) % 2 or not self.turns:
            raise DialogueError(
                f"a dialogue ends with the assistant's turn, got {len(self.turns)} turns; add or drop one"
            )
        written = sum(turn.text.count(tokens.SEG) for turn in self.turns if turn.role == "assistant")
        if written != len(self.targets):
            raise DialogueError(
                f"one target per {tokens.SEG} is needed: {written} {tokens.SEG} written, "
                f"{len(self.targets)} targets given for {self.image or 'a dialogue'}"
            )

    @property
    def questions(self) -> tuple[str, ...]:
        """What the user says, turn by turn."""
        return tuple(turn.text for turn in self.turns[::2])

    @property
    def answers(self) -> tuple[str, ...]:
        """What the assistant says, turn by turn."""
        return tuple(turn.text for turn in self.turns[1::2])


@dataclass(frozen=True)
class Sample:
    """One image with any number of dialogues about it; what a source of the mixture yields."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB, upright, in original pixels."""
    dialogues: tuple[Dialogue, ...]
    source: str = ""


@dataclass
class Batch:
    """Collated samples. Index tensors say what belongs to what, so no target or several are no special case."""

    low: Tensor
    """(I, 3, h, w) low-resolution view of each canvas, normalised."""
    high: Tensor
    """(I, 3, h, w) high-resolution view of each canvas, normalised."""
    cells: Tensor
    """(I, G) bool: grid cells that hold real pixels; each true cell is one image token."""
    input_ids: Tensor
    """(B, T) token ids with one image placeholder per image token, right-padded."""
    attention_mask: Tensor
    """(B, T) 1 for real tokens."""
    labels: Tensor
    """(B, T) ids to predict, -100 elsewhere; not yet shifted."""
    dialogue_image: Tensor
    """(E,) which image each dialogue is about."""
    seg_dialogue: Tensor
    """(S,) which dialogue each [SEG] is in."""
    seg_position: Tensor
    """(S,) where in that dialogue's row it stands."""
    obj_span: Tensor
    """(S, 2) first and last token of its [OBJ]…[SEG], in that row."""
    masks: Tensor
    """(S, h, w) targets in 0..1, in the frame of the canvas."""
    content: Tensor
    """(I, 2) height and width of the real pixels as a share of the canvas, 0..1."""
    phrases: tuple[str, ...] = ()
    """(S,) the words of each target."""
    colors: tuple[str | None, ...] = ()
    """(S,) its main colour, where one is annotated."""
    pixel: Tensor | None = None
    """(I, 3, h, w) view for a pixel encoder that has its own image size."""
    ignored: Tensor | None = None
    """(S, h, w) share 0..1 of each pixel of `masks` that counts neither as right nor as wrong; None where none does."""
    block: Tensor | None = None
    """(B, T) which dialogue each token belongs to, -1 in the opening that a row's dialogues share and in padding.

    None where no row holds two dialogues: then dialogue e is row e."""
    features: Mapping[str, Tensor] | None = None
    """What frozen encoders made of the images, (I, …) each; then no view has pixels. See `miras.model.features`."""
    dialogue_row: Tensor = field(init=False)
    """(E,) which row each dialogue is in."""
    positions: Tensor | None = field(init=False)
    """(B, T) where each token stands in its own dialogue, the opening counted; None where `block` is."""
    marked: Tensor = field(init=False)
    """(M,) the images that hold a target, in order, the first where none does; only they need a pixel encoder."""

    def __post_init__(self) -> None:
        images, rows, segs = len(self.high), len(self.input_ids), len(self.seg_dialogue)
        dialogues = len(self.dialogue_image)
        for name, expected in {
            "low": images, "cells": images, "content": images, "labels": rows, "attention_mask": rows,
            "seg_position": segs, "obj_span": segs, "masks": segs,
        }.items():  # fmt: skip
            if (got := len(getattr(self, name))) != expected:
                raise BatchError(f"batch.{name} needs {expected} rows, got {got}")
        if self.ignored is not None and self.ignored.shape != self.masks.shape:
            raise BatchError(f"batch.ignored is {tuple(self.masks.shape)} like masks, got {tuple(self.ignored.shape)}")
        for name, tensor in (self.features or {}).items():
            if len(tensor) != images:
                raise BatchError(f"batch.features[{name!r}] needs {images} rows, got {len(tensor)}")
        if segs and int(self.seg_dialogue.max()) >= dialogues:
            raise BatchError(
                f"seg_dialogue points at dialogue {int(self.seg_dialogue.max())}, the batch has {dialogues}"
            )
        self.dialogue_row, self.positions = torch.arange(dialogues, device=self.dialogue_image.device), None
        if self.block is not None:
            self._lay_out(self.block)
        elif dialogues != rows:
            raise BatchError(f"batch.dialogue_image needs {rows} rows, got {dialogues}; several in one row need block")
        self.marked = self.seg_image.unique() if segs else self.dialogue_image.new_zeros(1)

    def _lay_out(self, block: Tensor) -> None:
        """Find each dialogue's row and each token's position. Raises BatchError for blocks that fit nothing else."""
        if block.shape != self.input_ids.shape:
            raise BatchError(f"batch.block is {tuple(self.input_ids.shape)} like input_ids, got {tuple(block.shape)}")
        inside, dialogues, step = block >= 0, len(self.dialogue_image), torch.arange(block.shape[1])
        row, place = inside.nonzero().T  # of each token that belongs to one dialogue
        if sorted(set(block[inside].tolist())) != list(range(dialogues)):
            raise BatchError(f"batch.block should hold each of {dialogues} dialogues; collate them again")
        none = row.new_zeros(dialogues)
        self.dialogue_row, last, start = (
            none.scatter_reduce(0, block[inside], found, how, include_self=False)  # (E,)
            for found, how in ((row, "amin"), (row, "amax"), (place, "amin"))
        )
        if not torch.equal(self.dialogue_row, last):
            raise BatchError("batch.block spreads a dialogue over two rows; collate them again")
        if not torch.equal(self.row_image[self.dialogue_row], self.dialogue_image):
            raise BatchError("batch.block puts two images' dialogues into one row; a row has one opening")
        if not torch.equal(block[self.seg_row, self.seg_position], self.seg_dialogue):
            raise BatchError("batch.block and seg_dialogue disagree on which dialogue a [SEG] is in")
        opening = inside.int().argmax(1, keepdim=True)  # (B, 1)
        own = opening + step - start[block.clamp(min=0)]
        self.positions = torch.where(inside, own, step) * self.attention_mask

    @property
    def seg_image(self) -> Tensor:
        """(S,) which image each [SEG] is about."""
        return self.dialogue_image[self.seg_dialogue]

    @property
    def seg_row(self) -> Tensor:
        """(S,) which row each [SEG] is in."""
        return self.dialogue_row[self.seg_dialogue]

    @property
    def row_image(self) -> Tensor:
        """(B,) which image each row is about."""
        if self.block is None:
            return self.dialogue_image
        return self.dialogue_image.new_zeros(len(self.block)).scatter(0, self.dialogue_row, self.dialogue_image)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch with every tensor on the device."""
        moved = copy(self)  # not made anew: its checks have passed, and would make a GPU wait
        vars(moved).update({k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)})
        moved.features = self.features and {name: tensor.to(device) for name, tensor in self.features.items()}
        return moved


@dataclass
class ModelOutput:
    """What one teacher-forced pass gives."""

    logits: Tensor
    """(L, V) logits that predict the L trained tokens of the batch, in reading order."""
    labels: Tensor
    """(L,) those tokens."""
    mask_logits: Tensor
    """(S, h, w) in the frame of the canvas."""
    iou: Tensor
    """(S,) the mask decoder's own estimate of each mask's IoU, 0..1."""
    image_tokens: Tensor | None = None
    """(I, G, D) image tokens of the whole grid; None where none were made."""
    naming: Tensor | None = None
    """() how far image tokens are from the words for what they show; see `miras.model.naming`."""


@dataclass(frozen=True)
class Mark:
    """One mask of a reply."""

    mask: Rle
    phrase: str = ""
    score: float | None = None
    """The model's confidence, 0..1; None where it gives none."""

    def to_json(self) -> dict[str, Any]:
        """The mark as a line holds it."""
        return {"phrase": self.phrase, "score": self.score, "mask": self.mask}


@dataclass(frozen=True)
class Said:
    """The reply to one question."""

    text: str
    """As the model wrote it; may be empty where it refused."""
    masks: tuple[Mark, ...] = ()
    """In reading order."""
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The reply as a line holds it."""
        return {"text": self.text, "masks": [mark.to_json() for mark in self.masks], "seconds": self.seconds}


@dataclass(frozen=True)
class Prediction:
    """What a model answered to one dialogue."""

    id: str
    """Of the case that was asked."""
    turns: tuple[Said, ...]
    """The reply to each question."""

    def to_json(self) -> dict[str, Any]:
        """The prediction as a line of `predictions.jsonl` holds it."""
        return {"id": self.id, "turns": [said.to_json() for said in self.turns]}
