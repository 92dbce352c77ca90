"""Images fetched from hosts that are allowed: by the address that was checked, within limits, without redirects."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.serve.http.conftest import data_uri

from miras.errors import ImageError
from miras.serve.http import fetching
from miras.serve.http.fetching import image_bytes, public_address
from miras.serve.http.refusals import Refusal
from miras.serve.http.settings import ServerSettings

HOST = "photos.example.org"
CONTENT = b"a photo" * 1000


class _Host(BaseHTTPRequestHandler):
    """A host of photos; what it was asked is kept in the server."""

    def do_GET(self) -> None:
        self.server.asked.append((self.headers["Host"], self.path))  # type: ignore[attr-defined]
        if self.path == "/moved.jpg":
            self.send_response(302)
            self.send_header("Location", "/photo.jpg")
            self.end_headers()
        elif self.path == "/slow.jpg":
            self.send_response(200)
            self.end_headers()
            while not self.server.ended.wait(0.05):  # type: ignore[attr-defined]
                self.wfile.write(b".")
        elif self.path == "/endless.jpg":
            self.send_response(200)  # no Content-Length: its size shows only while it comes
            self.end_headers()
            for _ in range(10_000):
                self.wfile.write(bytes(10_000))
        else:
            self.send_response(200 if self.path == "/photo.jpg?size=large" else 404)
            self.end_headers()
            self.wfile.write(CONTENT)

    def log_message(self, *_: Any) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client that has had enough
            super().handle()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A host at this machine's own address that passes for a public one."""

    async def here(name: str, port: int) -> str:
        assert name == HOST
        return "127.0.0.1"

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Host)
    server.daemon_threads = True
    server.asked, server.ended = [], threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setattr(fetching, "public_address", here)
    yield server
    server.ended.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def fetched(address: str, **changes: Any) -> bytes:
    settings = ServerSettings(**{"image_hosts": (HOST,)} | changes)
    return asyncio.run(image_bytes(address, settings))


def _address(host: Any, path: str) -> str:
    return f"http://{HOST}:{host.server_port}/{path}"


def test_an_image_comes_from_an_allowed_host(host: Any) -> None:
    assert fetched(_address(host, "photo.jpg?size=large")) == CONTENT
    assert host.asked == [(f"{HOST}:{host.server_port}", "/photo.jpg?size=large")], "asked by its own name"


def test_a_name_is_the_same_in_capitals(host: Any) -> None:
    address = f"http://PHOTOS.example.org:{host.server_port}/photo.jpg?size=large"
    assert fetched(address, image_hosts=("Photos.Example.org",)) == CONTENT


@pytest.mark.parametrize(
    ("path", "told"),
    [("moved.jpg", "status 302; redirects"), ("none.jpg", "status 404"), ("endless.jpg", "more than 50,000 bytes")],
)
def test_what_is_not_simply_an_image_is_refused(host: Any, path: str, told: str) -> None:
    with pytest.raises(Refusal, match=told):
        fetched(_address(host, path), body_bytes=50_000)
    assert len(host.asked) == 1


def test_a_slow_host_is_left(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_SECONDS", 0.4)
    began = time.perf_counter()
    with pytest.raises(Refusal, match="TimeoutError"):
        fetched(_address(host, "slow.jpg"))
    assert 0.3 < time.perf_counter() - began < 3


def test_a_host_that_is_not_there_is_told(host: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Refusal, match="could not be fetched"):
        fetched(f"http://{HOST}:{port}/photo.jpg")


@pytest.mark.parametrize(
    "address",
    [
        "http://elsewhere.example.org/a.jpg",
        f"http://{HOST}.evil.example/a.jpg",
        f"http://user:word@{HOST}/a.jpg",
        f"ftp://{HOST}/a.jpg",
        "file:///etc/passwd",
        f"http://{HOST}:99999/a.jpg",
        "http://[::1/a.jpg",
        f"http://127.0.0.1\\@{HOST}/a.jpg",
        "",
    ],
)
def test_no_other_address_is_asked(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any) -> str:
        raise AssertionError("no host should be looked up")

    monkeypatch.setattr(fetching, "public_address", never)
    with pytest.raises(Refusal) as refused:
        fetched(address)
    assert refused.value.status == 400


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets every name lead to these addresses."""

    def resolve(*addresses: str) -> None:
        def found(*_: Any, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", found)

    return resolve


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("10.1.2.3",),
        ("192.168.0.1",),
        ("172.16.0.9",),
        ("169.254.169.254",),
        ("100.64.0.1",),
        ("0.0.0.0",),
        ("224.0.0.1",),
        ("::1",),
        ("fe80::1",),
        ("fd00::1",),
        ("ff02::1",),
        ("::ffff:127.0.0.1",),
        ("::ffff:169.254.169.254",),
        ("64:ff9b::7f00:1",),
        ("64:ff9b::a9fe:a9fe",),
        ("2001::1",),
        ("2002:7f00:1::",),
        ("8.8.8.8", "10.0.0.1"),
        (),
    ],
)
def test_a_name_that_leads_to_a_private_address_is_refused(
    resolve: Callable[..., None], addresses: tuple[str, ...]
) -> None:
    resolve(*addresses)
    with pytest.raises(Refusal, match="private address"):
        fetched(f"http://{HOST}/a.jpg")


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_a_public_address_is_taken(resolve: Callable[..., None], address: str) -> None:
    resolve(address, "1.1.1.1")
    assert asyncio.run(public_address(HOST, 443)) == address


def test_a_broken_data_uri_is_told() -> None:
    assert fetched(data_uri(CONTENT)) == CONTENT
    for address in ("data:image/png;base64,*", "data:image/png,abc", "data:image/png;base64"):
        with pytest.raises(ImageError, match="data"):
            fetched(address)
