"""Images by their ids from an address that the user gives: many at a time, checked, and going on where it stopped."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx2

from miras.data.images import load_image
from miras.errors import ConfigError, ImageError
from miras.files import write_beside
from miras.waits import wait_before_next

__all__ = ["Fetched", "fetch"]

_TRIES = 5
_LONGEST_WAIT = 60.0
_LARGEST = 64 * 2**20
"""Bytes of an image that are taken at most."""
_AGAIN = {408, 425, 429, 500, 502, 503, 504}


@dataclass
class Fetched:
    """What became of the images asked for."""

    new: int = 0
    kept: int = 0
    """Already there and whole."""
    failed: dict[str, str] = field(default_factory=dict)
    """File name → why it could not be had."""


def fetch(
    names: Iterable[str],
    base: str,
    out: Path,
    *,
    at_once: int = 8,
    timeout: float = 30.0,
    tell: Callable[[Fetched], None] | None = None,
) -> Fetched:
    """Fetches each image into `out`, skipping what is there and can be decoded.

    `base` is an address in which `{id}` stands for the file name without its suffix and `{name}` for the whole; without
    either, `/{name}` is put after it. What answers with 429 or 5xx, or breaks off, is asked for up to 5 times, after
    the time that Retry-After names. An image is written once it is whole and decodes.
    """
    if not base.startswith(("http://", "https://")):
        raise ConfigError(f"the base address should begin with http:// or https://, got {base!r}; give a whole one")
    wanted = list(dict.fromkeys(names))
    return asyncio.run(_fetch_all(wanted, base, out, at_once, timeout, tell or (lambda _: None)))


async def _fetch_all(
    names: list[str], base: str, out: Path, at_once: int, timeout: float, tell: Callable[[Fetched], None]
) -> Fetched:
    done, room = Fetched(), asyncio.Semaphore(at_once)
    async with httpx2.AsyncClient(timeout=timeout, follow_redirects=True) as client:

        async def one(name: str) -> None:
            async with room:
                if await asyncio.to_thread(_whole, out / name):
                    done.kept += 1
                elif reason := await _fetch_one(client, _address(base, name), out / name):
                    done.failed[name] = reason
                else:
                    done.new += 1
                tell(done)

        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(name))
    return done


async def _fetch_one(client: httpx2.AsyncClient, address: str, place: Path) -> str | None:
    """Why the image could not be had; None when it is there."""
    reason = "not tried"
    for attempt in range(_TRIES):
        asked_for = None
        try:
            async with client.stream("GET", address) as response:
                if response.status_code in _AGAIN:
                    reason = f"{address} answered {response.status_code}"
                    asked_for = response.headers.get("retry-after")
                elif response.status_code != 200:
                    return f"{address} answered {response.status_code}"
                else:
                    content = bytearray()
                    async for chunk in response.aiter_bytes():
                        content += chunk
                        if len(content) > _LARGEST:
                            return f"{address} is larger than {_LARGEST // 2**20} MiB"
                    return await asyncio.to_thread(_keep, bytes(content), place)
        except httpx2.HTTPError as error:
            reason = f"{address} broke off ({error or type(error).__name__})"
        if attempt + 1 < _TRIES:
            await asyncio.sleep(wait_before_next(attempt, asked_for, _LONGEST_WAIT))
    return f"{reason}, {_TRIES} times"


def _keep(content: bytes, place: Path) -> str | None:
    try:
        load_image(content)
    except ImageError as error:
        return f"what came is no image: {error}"
    with write_beside(place) as beside:
        beside.write_bytes(content)
    return None


def _whole(place: Path) -> bool:
    try:
        load_image(place)
    except ImageError:
        return False
    return True


def _address(base: str, name: str) -> str:
    if "{id}" not in base and "{name}" not in base:
        base = base.rstrip("/") + "/{name}"
    return base.replace("{id}", quote(Path(name).stem)).replace("{name}", quote(name))
