"""A server of the tiny model, asked in-process."""

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from tests.model.conftest import new_model, new_picture, said

from miras.engine.engine import Engine
from miras.model.miras import Miras
from miras.serve.http.app import make_app
from miras.serve.http.settings import ServerSettings


@pytest.fixture(scope="session")
def tiny() -> Miras:
    return new_model()


@pytest.fixture(scope="session")
def engine(tiny: Miras, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tiny, tmp_path_factory.mktemp("engine"))
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def serve(engine: Engine) -> Callable[..., TestClient]:
    """A client of a server with changed settings."""
    return lambda **changes: TestClient(make_app(engine, ServerSettings(**changes)))


@pytest.fixture
def client(serve: Callable[..., TestClient]) -> TestClient:
    return serve()


def file_of(picture: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, kind, **options)
    return content.getvalue()


def data_uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


@pytest.fixture(scope="session")
def png() -> bytes:
    """An image file of 40 x 24 pixels."""
    return file_of(new_picture(24, 40))


@pytest.fixture
def say(tiny: Miras) -> Callable[..., Any]:
    return lambda *answers: said(tiny, *answers)


@pytest.fixture
def opened(client: TestClient, png: bytes) -> str:
    """The id of a new conversation."""
    return str(client.post("/v1/sessions", files={"image": png}).json()["id"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sessions"
