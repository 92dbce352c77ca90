"""Many chat requests from a file, answered as the server would, into a file that an interrupted run goes on with."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from miras.engine.engine import Engine
from miras.errors import ConfigError
from miras.files import write_beside
from miras.serve.http.app import make_app
from miras.serve.http.settings import ServerSettings

__all__ = ["BatchResult", "answer_batch"]

_URL = "/v1/chat/completions"


@dataclass
class BatchResult:
    """What became of the requests of a file."""

    answered: int = 0
    """With status 200."""
    refused: int = 0
    """Lines that are no request, and requests that the server refuses."""
    failed: int = 0
    """With status 500 and above; the next run tries them again."""
    kept: int = 0
    """Of all these, how many an earlier run had done."""

    def add(self, entry: dict[str, Any]) -> None:
        """Count a line of the result."""
        status = (entry["response"] or {"status_code": 400})["status_code"]
        self.answered += status == 200
        self.refused += 200 < status < 500
        self.failed += status >= 500


async def answer_batch(
    engine: Engine,
    settings: ServerSettings,
    requests: Path,
    out: Path,
    *,
    tell: Callable[[int], None] = lambda done: None,
) -> BatchResult:
    """Answer each line of a JSONL file in OpenAI's batch format, at most as many at once as the engine takes.

    Lines go to `out` with `.part` behind its name, in the order in which they are ready, and take that name when all
    are done. What an earlier run answered or refused is not asked again. `tell` hears how many lines are done.
    Raises ConfigError where the file cannot be read or `out` belongs to other requests.
    """
    part, result = out.with_name(f"{out.name}.part"), BatchResult()
    kept = _taken_over(requests, part if part.exists() else out, part, result)
    settings = replace(settings, token=None, names=(), per_minute=0, active=engine.settings.batch + 1)
    transport = httpx2.ASGITransport(app=make_app(engine, settings))
    lines = ((number, line) for number, line in _lines(requests) if number not in kept)
    seen: set[str] = set(filter(None, kept.values()))
    done = len(kept)
    tell(done)
    with part.open("a", encoding="utf-8") as file:

        async def work(client: httpx2.AsyncClient) -> None:
            nonlocal done
            for number, line in lines:
                entry = await _answered(client, number, line, seen)
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
                file.flush()
                result.add(entry)
                done += 1
                tell(done)

        async with (
            httpx2.AsyncClient(transport=transport, base_url="http://batch", timeout=None) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(engine.settings.batch):
                group.create_task(work(client))
    os.replace(part, out)
    return result


async def _answered(client: httpx2.AsyncClient, number: int, line: bytes, seen: set[str]) -> dict[str, Any]:
    """A line of the result."""
    entry: dict[str, Any] = {"id": f"line-{number}", "custom_id": None, "response": None, "error": None}
    try:
        body = _read(line, entry, seen)
    except ValueError as error:
        entry["error"] = {"code": "invalid_line", "message": f"line {number}: {error}"}
        return entry
    response = await client.post(_URL, json=body)
    entry["response"] = {
        "status_code": response.status_code,
        "request_id": f"line-{number}",
        "body": response.json(),
    }
    return entry


def _read(line: bytes, entry: dict[str, Any], seen: set[str]) -> dict[str, Any]:
    """The body of a line's request. Raises ValueError for another form."""
    request = json.loads(line)
    if not isinstance(request, dict) or not isinstance(name := request.get("custom_id"), str):
        raise ValueError('a request is written as {"custom_id": …, "method": "POST", "url": …, "body": {…}}')
    entry["custom_id"] = name
    if name in seen:
        raise ValueError(f"custom_id {name!r} stands in an earlier line; give each request its own")
    seen.add(name)
    if (request.get("method"), request.get("url")) != ("POST", _URL):
        raise ValueError(f"only POST {_URL} is answered, got {request.get('method')} {request.get('url')}")
    if not isinstance(body := request.get("body"), dict) or body.get("stream"):
        raise ValueError("body is a chat request without `stream`")
    return body


def _lines(requests: Path) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of the lines that hold something. Raises ConfigError."""
    try:
        with requests.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ConfigError(f"{requests} cannot be read ({error}); give a JSONL file of requests") from error


def _taken_over(requests: Path, before: Path, part: Path, result: BatchResult) -> dict[int, str | None]:
    """Copy what an earlier run finished into `part`; custom_ids by line."""
    kept: dict[int, str | None] = {}
    named = _names(requests)
    with write_beside(part) as beside, beside.open("wb") as file:
        if before.exists():
            for _, line in _lines(before):
                try:
                    entry = json.loads(line)
                    number, name = int(entry["id"].removeprefix("line-")), entry["custom_id"]
                    status = (entry["response"] or {"status_code": 400})["status_code"]
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    if not line.endswith(b"\n"):  # where the earlier run was interrupted
                        continue
                    raise ConfigError(f"{before} is no result of a batch ({error}); give another file") from error
                if number not in named or (name is not None and named[number] != name):
                    raise ConfigError(f"{before} belongs to other requests, see {entry['id']}; give another file")
                if status < 500 and number not in kept:
                    kept[number] = name
                    result.add(entry)
                    file.write(line)
    result.kept = len(kept)
    return kept


def _names(requests: Path) -> dict[int, str | None]:
    """The custom_id of each line, None where it has none."""
    names: dict[int, str | None] = {}
    for number, line in _lines(requests):
        try:
            request = json.loads(line)
        except ValueError:
            request = None
        name = request.get("custom_id") if isinstance(request, dict) else None
        names[number] = name if isinstance(name, str) else None
    return names
