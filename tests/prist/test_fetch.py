"""Images from a real server on loopback that answers well, late, not at all, and with what is no image."""

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from miras.errors import ConfigError
from miras.prist.fetch import fetch


def picture(value: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (9, 7), (value, 0, 0)).save(file, format="PNG")
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    """`busy` answers 429 once, `torn` breaks off once, `page` is no image, `gone` is not there."""

    asked: Counter[str]

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        self.asked[name] += 1
        first = self.asked[name] == 1
        if name == "busy.png" and first:
            self.send_response(429)
            self.send_header("Retry-After", "0.05")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if name == "gone.png":
            self.send_error(404)
            return
        content = b"<html>" if name == "page.png" else picture(len(name))
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:20] if name == "torn.png" and first else content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, Counter[str]]]:
    """The address of the server, and how often it was asked for what."""
    asked: Counter[str] = Counter()
    handler = type("Counting", (Handler,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}", asked
        finally:
            running.shutdown()
            thread.join()


def test_images_come_whole_once_and_faults_are_told(server: tuple[str, Counter[str]], tmp_path: Path) -> None:
    base, asked = server
    names = ["plain.png", "busy.png", "torn.png", "page.png", "gone.png", "plain.png"]
    told: list[int] = []
    done = fetch(names, f"{base}/any", tmp_path, tell=lambda so_far: told.append(so_far.new + len(so_far.failed)))
    assert (done.new, done.kept) == (3, 0)
    assert told == [1, 2, 3, 4, 5]
    assert set(done.failed) == {"page.png", "gone.png"}
    assert "answered 404" in done.failed["gone.png"] and "no image" in done.failed["page.png"]
    assert asked == {"plain.png": 1, "busy.png": 2, "torn.png": 2, "page.png": 1, "gone.png": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["busy.png", "plain.png", "torn.png"]
    assert (tmp_path / "torn.png").read_bytes() == picture(len("torn.png"))


def test_started_again_it_asks_for_what_is_missing_or_broken(server: tuple[str, Counter[str]], tmp_path: Path) -> None:
    base, asked = server
    (tmp_path / "whole.png").write_bytes(picture(1))
    (tmp_path / "half.png").write_bytes(picture(1)[:30])
    done = fetch(["whole.png", "half.png", "new.png"], base + "/{id}.png", tmp_path)
    assert (done.new, done.kept, done.failed) == (2, 1, {})
    assert set(asked) == {"half.png", "new.png"}
    assert (tmp_path / "half.png").read_bytes() == picture(len("half.png"))


def test_a_server_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miras.prist.fetch._TRIES", 2)
    done = fetch(["a.png"], "http://127.0.0.1:9", tmp_path)
    assert "broke off" in done.failed["a.png"] and done.failed["a.png"].endswith("2 times")
    with pytest.raises(ConfigError, match="should begin with http"):
        fetch(["a.png"], "file:///etc", tmp_path)
