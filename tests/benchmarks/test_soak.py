"""The soak's clients notice a server that loses, changes or mixes up conversations; its last line sums up rightly."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from benchmarks.soak import summary
from benchmarks.soak_client import STEPS, Client, Tally, Wrong
from benchmarks.soak_model import talkative


class Fake:
    """A server in memory that answers every question with its own words; `spoil` changes what it tells of itself."""

    def __init__(self, spoil: Callable[[dict[str, Any]], object] = lambda view: None) -> None:
        self.spoil = spoil
        self.talks: dict[str, dict[str, Any]] = {}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        _, _, kind, *rest = request.url.path.split("/")
        if kind == "sessions" and not rest:
            name = f"talk{len(self.talks)}"
            self.talks[name] = {"id": name, "height": 64, "width": 96, "turns": []}
            return httpx2.Response(201, json=self.talks[name])
        talk = self.talks[rest[0]]
        match request.method, *rest[1:]:
            case ("GET",):
                seen = json.loads(json.dumps(talk))
                self.spoil(seen)
                return httpx2.Response(200, json=seen)
            case "POST", "turns":
                asked = json.loads(request.content)
                turn = {"question": asked["question"], "text": "It is.", "plain": "It is.", "targets": []}
                talk["turns"].append(turn)
                events = [{"text": "It "}, {"text": "is."}, {"turn": turn}]
                lines = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
                return httpx2.Response(200, text=lines) if asked.get("stream") else httpx2.Response(200, json=turn)
            case "DELETE", "turns", "last":
                talk["turns"].pop()
                return httpx2.Response(200, json=talk)
        raise AssertionError(request)


def _steps(server: Fake | Callable[[httpx2.Request], httpx2.Response], *names: str) -> Client:
    async def run() -> Client:
        transport = httpx2.MockTransport(server)
        async with httpx2.AsyncClient(transport=transport, base_url="http://server") as http:
            client = Client(0, http, Tally(), "tiny")
            for name in names:
                await client.step(name)
            return client

    return asyncio.run(run())


def test_a_good_server_passes() -> None:
    client = _steps(Fake(), "stream", "ask", "cancel", "undo", "stream")
    assert client.tally.requests["stream"] == 2 and len(client.tally.first_words) == 2
    assert client.tally.words >= 6 and not client.doubtful


def test_an_answer_that_was_given_up_may_be_there() -> None:
    assert len(_steps(Fake(), "cancel").turns) == 1
    assert not _steps(Fake(lambda view: view["turns"].clear()), "cancel").turns


@pytest.mark.parametrize(
    "spoil",
    [
        lambda view: view["turns"].clear(),
        lambda view: view["turns"][0].update(question="Client 9 asks for the time 1."),
        lambda view: view["turns"][0].update(text="It was."),
        lambda view: view["turns"].append(view["turns"][0]),
        lambda view: view.update(width=97),
        lambda view: view.update(id="talk9"),
    ],
)
def test_what_is_lost_or_mixed_up_is_seen(spoil: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(Wrong, match="client 0"):
        _steps(Fake(spoil), "ask")


@pytest.mark.parametrize(("status", "body"), [(500, "sentence"), (422, ""), (422, "no"), (404, "sentence")])
def test_a_poor_refusal_is_seen(status: int, body: str) -> None:
    told = {"error": {"message": "this says at length what to do" if body == "sentence" else body}}
    with pytest.raises(Wrong, match=str(status)):
        _steps(lambda request: httpx2.Response(status, json=told), "open")


def test_a_stream_that_breaks_off_is_seen() -> None:
    fake = Fake()

    def broken(request: httpx2.Request) -> httpx2.Response:
        answer = fake(request)
        return httpx2.Response(200, text=answer.text.replace("data: [DONE]", "")) if "data:" in answer.text else answer

    with pytest.raises(Wrong, match="DONE"):
        _steps(broken, "stream")


def test_the_last_line() -> None:
    tally = Tally(first_words=[0.3, 0.1, 0.2, 0.4])
    flat = summary(tally, {"rss_mib": [100.0, 200.0, 205.0, 209.0]})
    assert flat["rss_mib_by_quarter"] == [100.0, 200.0, 205.0, 209.0] and flat["rss_ratio"] == pytest.approx(1.045)
    assert flat["failed"] == 0 and flat["first_word_seconds"] == {"p50": 0.3, "p95": 0.4}
    grown = summary(Tally(failures=["one"]), {"rss_mib": [100.0, 200.0, 205.0, 211.0]})
    assert grown["failed"] == 2 and "memory" in grown["failures"][1]
    assert summary(Tally(), {})["rss_ratio"] is None


def test_the_tiny_model_tells_photos_apart() -> None:
    model = talkative()
    replies = [
        model.session(Client(number, httpx2.AsyncClient(), Tally(), "tiny").pixels).ask("Mark it.", limit=24)
        for number in range(4)
    ]
    assert len({reply.text for reply in replies}) == 4 and any(reply.targets for reply in replies)


@pytest.mark.slow
def test_a_short_soak_of_a_real_server(tmp_path: Path) -> None:
    """Load, SIGTERM, a restart, SIGKILL and another; whether memory is flat takes longer to tell."""
    talkative().save_pretrained(tmp_path / "tiny")
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "soak.py"
    command = [sys.executable, str(script), "--model", str(tmp_path / "tiny"), "--clients", "8", "--minutes", "0.1"]
    done = subprocess.run(
        [*command, "--growth", "1.5"], capture_output=True, text=True, timeout=400, check=False, cwd=tmp_path
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, found["failures"], found["failed"]) == (0, [], 0), done.stderr
    assert found["sigterm"]["code"] == found["last_code"] == 0
    assert found["sigterm"]["finished"] + found["sigterm"]["refused"] > 0
    assert min(found["sigkill"].values()) > 0, "there were turns to be restored"
    assert set(STEPS) - {"look", "misuse"} <= set(found["requests"])
    assert found["refusals"] and set(found["refusals"]) <= {"400", "401", "404", "409", "413", "422", "429", "503"}
