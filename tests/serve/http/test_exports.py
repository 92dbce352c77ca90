"""The route of downloads: every form with its type and a name, and what cannot be had."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from miras.data.masks import encode
from miras.serve.exports import FORMS


@pytest.fixture
def marked(client: TestClient, opened: str, say: Callable[..., Any]) -> str:
    """A conversation of two turns, the first of which marks everything and nothing, as a person drew it."""
    for question, answer in (("Mark both", "[OBJ]left[SEG] and [OBJ]right[SEG]"), ("Thanks", "Any time.")):
        with say(answer):
            assert client.post(f"/v1/sessions/{opened}/turns", json={"question": question}).status_code == 200
    targets = [{"phrase": name, "mask": encode(np.full((24, 40), name == "left"))} for name in ("left", "right")]
    assert client.put(f"/v1/sessions/{opened}/turns/0", json={"targets": targets}).status_code == 200
    return opened


@pytest.mark.parametrize("form", FORMS)
def test_every_form_comes_as_a_file(client: TestClient, marked: str, form: str) -> None:
    got = client.get(f"/v1/sessions/{marked}/exports/{form}?target=0")
    assert got.status_code == 200, got.text
    media, suffix, _ = FORMS[form]
    assert got.headers["content-type"].startswith(media)
    assert got.headers["content-disposition"].endswith(f'_turn1{suffix}"')
    assert marked not in got.headers["content-disposition"]


def test_corrections_are_what_comes(client: TestClient, marked: str) -> None:
    for target, shade in enumerate((255, 0)):
        content = client.get(f"/v1/sessions/{marked}/exports/mask?turn=0&target={target}").content
        with Image.open(io.BytesIO(content)) as png:
            assert (png.size, png.getextrema()) == ((40, 24), (shade, shade))
    content = client.get(f"/v1/sessions/{marked}/exports/prist?target=0").content
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None


@pytest.mark.parametrize(
    ("path", "status"),
    [("gif", 422), ("mask?turn=1", 422), ("mask?turn=7", 422), ("mask?target=2", 422), ("mask?turn=-1", 422)],
)
def test_what_cannot_be_had_is_refused(client: TestClient, marked: str, path: str, status: int) -> None:
    got = client.get(f"/v1/sessions/{marked}/exports/{path}")
    assert got.status_code == status
    assert got.json()["error"]["message"]


def test_a_conversation_that_is_not_there(client: TestClient) -> None:
    assert client.get("/v1/sessions/no-such-conversation/exports/mask").status_code == 404


def test_the_page_and_what_it_loads_are_served(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    for path in ("static/style.css", "static/app.js", "static/icon.svg", "static/examples/cat.jpg"):
        assert client.get(path).status_code == 200
        assert path in page.text or path.startswith("static/examples/")
