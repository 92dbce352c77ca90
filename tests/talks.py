"""A conversation that tests of sessions share, and how they look at it."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor

from miras.model.miras import Miras
from miras.model.session import Session

__all__ = ["TALK", "asked", "close", "mask_logits"]

TALK = (
    ("What is it?", "A car."),
    ("Mark its wheels.", "The [OBJ]wheel[SEG] and [OBJ]other wheel[SEG]."),
    ("And that?", "It is [OBJ]door[SEG]."),
)


def asked(model: Miras, image: np.ndarray, say: Callable[..., AbstractContextManager[object]]) -> Session:
    """A session after `TALK`, whose answers the fixture `say` puts into the model's mouth."""
    session = model.session(image)
    for question, answer in TALK:
        with say(model, answer):
            session.ask(question)
    return session


def mask_logits(session: Session, turn: int = -1) -> Tensor:
    """(S, h, w) logits of the masks of one reply."""
    return torch.stack([target.logits for target in session.replies[turn].targets if target.logits is not None])


def close(ours: Tensor, theirs: Tensor) -> bool:
    """Whether both have one shape and agree to 1e-3."""
    return ours.shape == theirs.shape and bool((ours - theirs).abs().max() < 1e-3)
