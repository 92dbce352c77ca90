"""`miras serve` and `miras batch` as processes: they end in order when told to, and lose nothing when killed."""

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.serve.http.conftest import data_uri
from tests.serve.live.processes import began, served

from miras.engine.engine import Engine
from miras.model.miras import Miras
from miras.serve.http.bodies import SessionView

pytestmark = pytest.mark.slow

LONG: dict[str, Any] = {"question": "Tell me all of it.", "stream": True, "limit": 256}
"""A question whose answer takes about half a second."""


def _http(address: str) -> httpx2.Client:
    return httpx2.Client(base_url=address, trust_env=False, timeout=60)


def _opened(http: httpx2.Client, photo: Path) -> str:
    answer = http.post("/v1/sessions", files={"image": photo.read_bytes()})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _asked(http: httpx2.Client, name: str, question: str, limit: int = 60) -> dict[str, Any]:
    answer = http.post(f"/v1/sessions/{name}/turns", json={"question": question, "limit": limit})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _events(lines: Iterator[str]) -> Iterator[Any]:
    """What a stream tells, "[DONE]" included."""
    for line in lines:
        if line.startswith("data: "):
            told = line.removeprefix("data: ")
            yield told if told == "[DONE]" else json.loads(told)


@contextmanager
def _streamed(http: httpx2.Client, name: str) -> Iterator[tuple[str, Iterator[Any]]]:
    """The first piece of a long answer, and the events behind it."""
    with http.stream("POST", f"/v1/sessions/{name}/turns", json=LONG) as answer:
        assert answer.status_code == 200
        events = _events(answer.iter_lines())
        yield next(events)["text"], events


def _turns(model: Miras, folder: Path, name: str) -> list[dict[str, Any]]:
    """What lies in a server's folder, once the server has ended."""
    engine = Engine(model, folder)
    try:
        return SessionView.of(engine.view(name), "tiny").model_dump()["turns"]
    finally:
        engine.stop()


def test_sigterm_finishes_what_runs_and_refuses_the_rest(
    tiny: Miras, tiny_folder: Path, photo: Path, tmp_path: Path
) -> None:
    with served(tiny_folder, tmp_path / "kept") as server, _http(server.address) as http, ExitStack() as streams:
        names = [_opened(http, photo) for _ in range(4)]
        begun = [streams.enter_context(_streamed(http, name)) for name in names]
        server.popen.send_signal(signal.SIGTERM)
        with suppress(httpx2.TransportError):  # where all answers have come to their end already
            while (health := http.get("/healthz")).status_code == 200:  # until the signal is there
                time.sleep(0.01)
            assert health.json()["status"] == "stopping"
            refused = http.post("/v1/sessions", files={"image": photo.read_bytes()})
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "stopping")
            assert int(refused.headers["Retry-After"]) > 0
        told = []
        for first, events in begun:
            *pieces, turn, done = events
            assert done == "[DONE]"
            assert first + "".join(piece["text"] for piece in pieces) == turn["turn"]["plain"]
            told.append(turn["turn"])
        streams.close()
        assert server.popen.wait(60) == 0
        assert "Traceback" not in server.said
        with pytest.raises(httpx2.TransportError):
            http.get("/healthz")
    assert [_turns(tiny, tmp_path / "kept", name) for name in names] == [[turn] for turn in told]


def test_after_sigkill_all_finished_turns_are_there_and_ctrl_c_ends_it(
    tiny_folder: Path, photo: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    with served(tiny_folder, folder) as server, _http(server.address) as http:
        names = [_opened(http, photo) for _ in range(3)]
        for number, name in enumerate(names):
            for turn in range(2):
                _asked(http, name, f"Mark {number} and {turn}.")
        before = [http.get(f"/v1/sessions/{name}").json() for name in names]
        with _streamed(http, names[0]) as (first, events):
            assert server.end(signal.SIGKILL) == -signal.SIGKILL
            with pytest.raises((httpx2.TransportError, StopIteration)):
                while True:
                    next(events)
    assert sum(len(turn["targets"]) for view in before for turn in view["turns"]) > 3, "there are masks to compare"
    with served(tiny_folder, folder) as server, _http(server.address) as http:
        assert [http.get(f"/v1/sessions/{name}").json() for name in names] == before
        again = _asked(http, names[0], LONG["question"], LONG["limit"])
        assert again["plain"].startswith(first), "what was lost is answered as it would have been"
        assert len(http.get(f"/v1/sessions/{names[0]}").json()["turns"]) == 3
        assert server.end(signal.SIGINT) == 130
        assert server.said.rstrip().endswith("miras: stopped") and "Traceback" not in server.said


def _requests(path: Path, photo: Path, count: int) -> None:
    uri = data_uri(photo.read_bytes())
    content = [{"type": "text", "text": "Mark it."}, {"type": "image_url", "image_url": {"url": uri}}]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            body = {"model": "tiny", "messages": [{"role": "user", "content": content}], "max_tokens": 60}
            line = {"custom_id": f"n{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
            file.write(json.dumps(line) + "\n")


def test_an_interrupted_batch_answers_each_request_once(tiny_folder: Path, photo: Path, tmp_path: Path) -> None:
    count, requests, out = 40, tmp_path / "requests.jsonl", tmp_path / "answers.jsonl"
    part, command = tmp_path / "answers.jsonl.part", ["batch", str(requests), str(out), "--model", str(tiny_folder)]
    _requests(requests, photo, count)
    with began(command, tmp_path / "first.log") as first:
        while not (part.exists() and part.read_bytes().count(b"\n") >= 8):
            assert first.popen.poll() is None, first.said
            time.sleep(0.01)
        assert first.end(signal.SIGINT) == 130
    assert "goes on from here" in first.said and "Traceback" not in first.said
    kept = part.read_bytes().splitlines()
    assert 8 <= len(kept) < count and not out.exists()
    with began(command, tmp_path / "second.log") as second:
        assert second.popen.wait(100) == 0, second.said
    assert f"answered: {count}" in second.said and f"kept: {len(kept)}" in second.said
    lines = out.read_bytes().splitlines()
    assert lines[: len(kept)] == kept and not part.exists()
    answers = [json.loads(line) for line in lines]
    assert Counter(answer["custom_id"] for answer in answers) == {f"n{number}": 1 for number in range(count)}
    assert all(answer["id"] == f"line-{int(answer['custom_id'][1:]) + 1}" for answer in answers)
    assert len({answer["response"]["body"]["choices"][0]["message"]["content"] for answer in answers}) == 1
