"""The tiny random model, pictures for it, and a way to make it say what a test needs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from miras.data.masks import encode
from miras.model.build import build, build_processor
from miras.model.configuration import preset
from miras.model.miras import Miras
from miras.types import Dialogue, Sample, Target, Turn

Say = Callable[..., Any]


@pytest.fixture(scope="session")
def make() -> Callable[..., Miras]:
    """The tiny model with changed settings, the same weights every time; tests leave it as it was."""
    made: dict[str, Miras] = {}

    def make_one(**changes: Any) -> Miras:
        if (name := repr(sorted(changes.items()))) not in made:
            made[name] = new_model(**changes)
        return made[name]

    return make_one


def new_model(**changes: Any) -> Miras:
    config = preset("tiny", **changes)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        model = build(config, build_processor(config)).eval()
        for name, weight in model.named_parameters():
            if "lora_B" in name or name == "vision.fusion.gate":  # zero in a new model, which would hide their use
                weight.normal_(std=0.3)
    return model


@pytest.fixture(scope="session")
def fresh_model() -> Callable[..., Miras]:
    """A tiny model of the test's own, which it may change."""
    return new_model


@pytest.fixture(scope="session")
def tiny(make: Callable[..., Miras]) -> Miras:
    """The tiny model as it is."""
    return make()


def new_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(height // 4 + 1, 0).repeat(width // 4 + 1, 1)[:height, :width])


@pytest.fixture(scope="session")
def picture() -> Callable[..., np.ndarray]:
    """Four by four random colours in any size."""
    return new_picture


@dataclass
class Heard:
    """What the language model would have said by itself."""

    logits: list[Tensor] = field(default_factory=list)
    """(rows, V) of every step."""


@contextmanager
def said(model: Miras, *answers: str | Sequence[int]) -> Iterator[Heard]:
    """The rows of the next batch give these answers, texts or ids without the stop token."""
    encoder, heard = model.processor.encoder, Heard()
    scripts = [encoder.answer(a) if isinstance(a, str) else [*a, encoder.stop_id] for a in answers]

    def logits(states: Tensor) -> Tensor:
        step = len(heard.logits)
        heard.logits.append(type(model.language).logits(model.language, states))
        speaking = [script[step] for script in scripts if len(script) > step]
        assert len(speaking) == len(states)
        return torch.nn.functional.one_hot(torch.tensor(speaking), heard.logits[-1].shape[-1]).float()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model.language, "logits", logits)
        yield heard


@pytest.fixture(scope="session")
def say() -> Say:
    """`with say(model, "It is [OBJ]cat[SEG]."):` makes the model answer so."""
    return said


def new_sample(image: np.ndarray, *turns: str) -> Sample:
    texts = [Turn("assistant" if index % 2 else "user", text) for index, text in enumerate(turns)]
    mask = np.zeros(image.shape[:2], dtype=bool)
    mask[: len(mask) // 2 + 1] = True
    targets = [Target("thing", encode(mask)) for text in turns[1::2] for _ in range(text.count("[SEG]"))]
    return Sample(image, (Dialogue(tuple(texts), tuple(targets)),))


@pytest.fixture(scope="session")
def sample() -> Callable[..., Sample]:
    """A sample of an image and what is said about it in turn; every target is the image's upper half."""
    return new_sample
