"""Spoilt image files at the server's door: each is an image or is refused with a reason, soon and in little memory."""

import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
from fastapi.testclient import TestClient
from tests.serve.live.spoilt_images import BOMBS, bomb, spoilt, whole_images

from miras.engine.engine import Engine
from miras.errors import ImageError
from miras.model.miras import Miras
from miras.serve.http.app import make_app
from miras.serve.http.images import read_image
from miras.serve.http.refusals import Refusal
from miras.serve.http.settings import ServerSettings

PIXELS = 25_000_000
SECONDS = 5.0
MIB = 300.0
"""Most that one file may take, beyond its bytes: 25 megapixels are 75 MB, and once more while they are turned."""


def _taken(content: bytes) -> str:
    """Reads a file as the server does: "taken", or the kind of refusal."""
    try:
        image = read_image(content, PIXELS)
    except (ImageError, Refusal) as error:
        assert len(str(error)) > 20, "a refusal says what to do"
        return type(error).__name__
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size
    return "taken"


def _all_taken(numbers: range) -> Counter[str]:
    process, kinds = psutil.Process(), Counter[str]()
    before = process.memory_info().rss
    for number in numbers:
        started = time.perf_counter()
        kinds[_taken(spoilt(number))] += 1
        assert time.perf_counter() - started < SECONDS, f"file {number} took too long"
    assert (process.memory_info().rss - before) / 2**20 < MIB
    return kinds


def test_some_hundred_spoilt_files() -> None:
    kinds = _all_taken(range(300))
    assert kinds["taken"] > 20 and kinds["ImageError"] > 150, "spoilt files are of both kinds, or nothing was tried"


@pytest.mark.slow
def test_five_thousand_spoilt_files() -> None:
    assert sum(_all_taken(range(300, 5300)).values()) == 5000


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str) -> None:
    content, process = bomb(name), psutil.Process()
    before, started = process.memory_info().rss, time.perf_counter()
    assert _taken(content) in ("ImageError", "Refusal")
    assert time.perf_counter() - started < SECONDS
    assert (process.memory_info().rss - before) / 2**20 < MIB


@pytest.fixture(scope="module")
def http(tiny: Miras, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    engine = Engine(tiny, tmp_path_factory.mktemp("talks"))
    with TestClient(make_app(engine, ServerSettings(per_minute=0)), base_url="http://localhost") as client:
        yield client
    engine.stop()


@pytest.mark.parametrize("number", range(len(whole_images())))
def test_whole_files_are_taken_or_refused_by_their_format(http: TestClient, number: int) -> None:
    content = whole_images()[number]
    answer = http.post("/v1/sessions", files={"image": ("photo", content)})
    if content[:2] in (b"II", b"MM"):
        assert answer.status_code == 422 and "PNG" in answer.json()["error"]["message"]
        return
    view = answer.json()
    assert answer.status_code == 201 and sorted((view["height"], view["width"])) == [42, 48]
    assert http.delete(f"/v1/sessions/{view['id']}").status_code == 204


@pytest.mark.slow
def test_spoilt_files_over_http(http: TestClient) -> None:
    statuses = Counter[int]()
    for content in [*(spoilt(number) for number in range(6000, 6600)), *map(bomb, BOMBS)]:
        answer = http.post("/v1/sessions", files={"image": ("photo", content)})
        statuses[answer.status_code] += 1
        if answer.status_code == 201:
            assert http.delete(f"/v1/sessions/{answer.json()['id']}").status_code == 204
        else:
            assert len(answer.json()["error"]["message"]) > 20
    assert set(statuses) <= {201, 413, 422} and statuses[201] > 20 and statuses[413] >= 4
