"""Engines of the tiny model, pictures for them, and how a test asks."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.model.conftest import new_model, new_picture

from miras.engine.engine import Engine, EngineSettings
from miras.model.miras import Miras
from miras.model.replies import Reply

Start = Callable[..., Engine]


@pytest.fixture(scope="session")
def tiny() -> Miras:
    """The tiny model."""
    return new_model()


@pytest.fixture(scope="session")
def picture() -> Callable[..., object]:
    """Four by four random colours in any size."""
    return new_picture


@pytest.fixture
def start(tiny: Miras, tmp_path: Path) -> Iterator[Start]:
    """`start(batch=2)` is an engine with changed settings, all on one folder; stopped when the test ends."""
    engines = list[Engine]()

    def begin(model: Miras | None = None, folder: Path = tmp_path, **changes: object) -> Engine:
        engines.append(Engine(model or tiny, folder, EngineSettings(**changes)))  # type: ignore[arg-type]
        return engines[-1]

    yield begin
    for engine in engines:
        engine.stop(grace=0)


@pytest.fixture
def alone(tiny: Miras) -> Callable[..., list[Reply]]:
    """What a session of its own answers to some questions, one after another."""

    def asked(image: np.ndarray, questions: Sequence[str], limit: int) -> list[Reply]:
        session = tiny.session(image)
        return [session.ask(question, limit=limit) for question in questions]

    return asked


@pytest.fixture
def slow(tiny: Miras, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """The language model makes one pass per release of this, so that a test knows where an answer stands."""
    allowed, states = threading.Semaphore(0), tiny.language.states

    def waiting(*given: Any) -> torch.Tensor:
        assert allowed.acquire(timeout=20)
        return states(*given)

    monkeypatch.setattr(tiny.language, "states", waiting)
    return allowed
