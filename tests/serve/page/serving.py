"""A server in a thread, and a tiny model that says what it is told to and marks upright strips."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import uvicorn
from fastapi import FastAPI
from tests.model.conftest import said
from torch import Tensor

from miras.engine.engine import Engine
from miras.model.miras import Miras
from miras.serve.http.app import make_app
from miras.serve.http.settings import ServerSettings

__all__ = ["running", "saying", "served"]


@contextmanager
def saying(model: Miras, answer: str, *, pause: float = 0.0) -> Iterator[None]:
    """The next answer is this one, `pause` seconds a token; each of its masks covers half of its share of the width."""

    def mark(queries: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        count, side = len(queries), 64
        logits = torch.full((count, side, side), -4.0)
        for index in range(count):
            start = index * side // count
            logits[index, side // 4 :, start + side // count // 4 : start + 3 * side // count // 4] = 4.0
        return logits, torch.linspace(0.9, 0.4, count)

    with said(model, answer), pytest.MonkeyPatch.context() as patch:
        logits = model.language.logits

        def slowly(states: Tensor) -> Tensor:
            time.sleep(pause)
            return logits(states)

        patch.setattr(model.language, "logits", slowly)
        patch.setattr(model, "mark", mark)
        yield


@contextmanager
def served(engine: Engine, **settings: Any) -> Iterator[str]:
    """The address of the page of an engine."""
    with running(make_app(engine, ServerSettings(**{"per_minute": 0, **settings}))) as address:
        yield address


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """The address of an application that runs in a thread until the block ends."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1, ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(5)
