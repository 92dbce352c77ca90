"""A server under 32 clients for half an hour: no conversation lost or mixed up, no 500, memory flat; then it is killed.

    python benchmarks/soak.py [--model nano] [--clients 32] [--minutes 30] [--seed 0] [--growth 1.05]

The server is a process of its own. The clients talk, stream, cancel, leave, branch, take back and misuse it, and after
every step compare what it holds with their own transcripts. Then SIGTERM comes while answers run: they are finished and
the code is 0. A second process on the same folder has all conversations; SIGKILL ends it amid its work, and a third one
has all turns that were finished. Memory counts as flat when the median of the last quarter is at most 5 % above that
of the second. The last line is one line of JSON; the code is 1 where anything failed. Ctrl-C stops it cleanly.
"""

import argparse
import asyncio
import json
import random
import secrets
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script it is not started as a part of a package

from benchmarks.soak_client import STEPS, Busy, Client, Tally, Wrong

__all__ = ["GROWTH", "Server", "main", "soak", "summary"]

GROWTH = 1.05
"""Most that memory may be at the end, over what it was in the second quarter."""

_START, _STOP, _ANSWER = 120.0, 90.0, 120.0
_BOUNDS = ["--per-minute", "0", "--memory-mib", "512"]  # memory is full soon, so that it can be flat


class Server:
    """A `miras serve` in a process of its own, on a free port of this machine."""

    def __init__(self, model: str, folder: Path) -> None:
        self.model, self.folder, self.token = model, folder, secrets.token_urlsafe(12)
        self.process: asyncio.subprocess.Process | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises Wrong where that takes too long."""
        secret = self.folder.with_name("token")
        secret.write_text(self.token + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "miras", "serve", "--model", self.model, "--port", str(self.port)]
        command += ["--folder", str(self.folder), "--token-file", str(secret), *_BOUNDS]
        with self.folder.with_name("server.log").open("a", encoding="utf-8") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, start_new_session=True
            )
        began = time.perf_counter()
        async with self.client() as http:
            while time.perf_counter() - began < _START and self.process.returncode is None:
                try:
                    if (await http.get("/healthz")).status_code == 200:
                        return
                except httpx2.TransportError:
                    await asyncio.sleep(0.2)
        raise Wrong(f"the server was not ready after {_START:.0f} s: {self.log()}")

    def client(self) -> httpx2.AsyncClient:
        """A connection that knows the token."""
        limits = httpx2.Limits(max_connections=256)
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=_ANSWER, limits=limits
        )

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait; the exit code. A server that does not end in time is killed."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        try:
            return await asyncio.wait_for(self.process.wait(), _STOP)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise Wrong(f"the server did not end within {_STOP:.0f} s of {number.name}: {self.log()}") from None

    def memory(self) -> float:
        """MiB that it has in memory."""
        assert self.process is not None
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    def log(self) -> str:
        """The end of what it said."""
        return self.folder.with_name("server.log").read_text(encoding="utf-8")[-2000:]


async def soak(server: Server, count: int, seconds: float, *, seed: int, tally: Tally, figures: dict[str, Any]) -> None:
    """All phases; what they find is in `tally` and `figures`, also where they are interrupted."""
    began = time.perf_counter()
    try:
        await server.start()
        async with server.client() as http:
            clients = [Client(number, http, tally, Path(server.model).name, seed=seed) for number in range(count)]
            samples: list[float] = []
            figures["rss_mib"] = samples
            began = time.perf_counter()
            await _under_load(server, clients, seconds, samples)
            figures["seconds"], figures["words_per_second"] = seconds, tally.words / (time.perf_counter() - began)
            figures["sigterm"] = await _terminated(server, clients, tally)
        await server.start()
        figures["sigkill"] = await _killed(server, clients, tally, seconds)
    except Wrong as error:
        tally.failures.append(str(error))
    finally:
        if server.process is not None and server.process.returncode is None:
            figures["last_code"] = await server.end(signal.SIGTERM)


async def _under_load(server: Server, clients: Sequence[Client], seconds: float, samples: list[float]) -> None:
    """Every client takes one step after the other until the time is over; `samples` are MiB, second by second."""
    until, tally = time.perf_counter() + seconds, clients[0].tally

    async def watch() -> None:
        while True:
            samples.append(server.memory())
            if len(samples) % 15 == 0:
                print(
                    f"{until - time.perf_counter():6.0f} s left, {sum(tally.requests.values()):6} requests, "
                    f"{sum(tally.refusals.values()):5} refused, {len(tally.failures)} failures, {samples[-1]:.0f} MiB",
                    flush=True,
                )
            await asyncio.sleep(1.0)

    watching = asyncio.ensure_future(watch())
    try:
        await asyncio.gather(*(_steps(client, lambda: time.perf_counter() < until) for client in clients))
    finally:
        watching.cancel()


async def _steps(client: Client, going: Callable[[], bool]) -> None:
    """Steps by chance; what goes wrong is written down, and the client begins anew."""
    chance = random.Random(client.number)
    while going():
        name = chance.choices(list(STEPS), list(STEPS.values()))[0]
        try:
            await client.step(name)
        except Busy:
            await asyncio.sleep(0.5)
        except (Wrong, httpx2.HTTPError, KeyError, ValueError, TypeError) as error:
            if not going():
                return
            client.tally.failures.append(f"{name}: {type(error).__name__}: {error}")
            client.name = ""
            await asyncio.sleep(0.5)


async def _terminated(server: Server, clients: Sequence[Client], tally: Tally) -> dict[str, Any]:
    """SIGTERM while answers run: they are finished, what is new is refused, the code is 0."""
    asked = [asyncio.ensure_future(_last(client)) for client in clients if client.name]
    begun = len(tally.first_words)
    await _until(lambda: len(tally.first_words) > begun or all(one.done() for one in asked))
    ending = asyncio.ensure_future(server.end(signal.SIGTERM))
    await asyncio.sleep(0.2)
    refused = await _refusal(server)
    results = await asyncio.gather(*asked)
    code = await ending
    if code != 0:
        tally.failures.append(f"after SIGTERM the code should be 0, got {code}: {server.log()}")
    if refused not in ("503", "closed"):
        tally.failures.append(f"after SIGTERM a new request should get 503, or no connection, got {refused}")
    tally.failures += [f"at SIGTERM: {result}" for result in results if result not in ("finished", "refused")]
    counts = {kind: results.count(kind) for kind in ("finished", "refused")}
    return {"code": code, **counts, "new": refused}


async def _last(client: Client) -> str:
    """One more streamed question: "finished", "refused", or what went wrong."""
    try:
        await client.stream()
    except (Busy, httpx2.ConnectError):
        return "refused"
    except (Wrong, httpx2.HTTPError) as error:
        return f"{type(error).__name__}: {error}"
    return "finished"


async def _refusal(server: Server) -> str:
    """What a new question meets with: a status, or "closed"."""
    try:
        async with server.client() as http:
            return str((await http.post("/v1/sessions", files={"image": ("a.png", b"none")})).status_code)
    except httpx2.TransportError:
        return "closed"


async def _killed(server: Server, clients: Sequence[Client], tally: Tally, seconds: float) -> dict[str, Any]:
    """A second process has all turns; killed amid its work, it leaves all finished ones to a third."""
    figures = {"restored_after_sigterm": await _restored(server, clients, tally)}
    going = [True]
    async with server.client() as http:
        for client in clients:
            client.http = http
        working = [asyncio.ensure_future(_steps(client, lambda: going[0])) for client in clients]
        await asyncio.sleep(min(20.0, seconds / 2))
        going[0] = False
        await server.end(signal.SIGKILL)
        await asyncio.gather(*working)
    await server.start()
    figures["restored_after_sigkill"] = await _restored(server, clients, tally)
    return figures


async def _restored(server: Server, clients: Sequence[Client], tally: Tally) -> int:
    """How many finished turns the server holds; what it lacks is a failure."""
    turns = 0
    async with server.client() as http:
        for client in clients:
            client.http = http
            if client.name:
                try:
                    await client.check()
                    turns += len(client.turns)
                except (Wrong, httpx2.HTTPError) as error:
                    tally.failures.append(f"after a restart: {error}")
    return turns


async def _until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.02)


def summary(tally: Tally, figures: dict[str, Any], growth: float = GROWTH) -> dict[str, Any]:
    """The last line: requests, refusals and failures, speed, and whether memory was flat."""
    samples = figures.pop("rss_mib", [])
    quarters = [samples[len(samples) * n // 4 : len(samples) * (n + 1) // 4] for n in range(4)]
    medians = [round(statistics.median(quarter), 1) for quarter in quarters if quarter]
    ratio = round(medians[3] / medians[1], 4) if len(medians) == 4 else None
    failures = list(tally.failures)
    if ratio is not None and ratio > growth:
        failures.append(f"memory should end within {growth} of the second quarter's, got {ratio}: {medians}")
    waits = sorted(tally.first_words)
    first = {f"p{p}": round(waits[min(len(waits) - 1, len(waits) * p // 100)], 3) for p in (50, 95)} if waits else None
    return {
        "benchmark": "soak",
        **figures,
        "requests": dict(tally.requests),
        "refusals": dict(tally.refusals),
        "words_per_second": round(figures["words_per_second"], 1) if "words_per_second" in figures else None,
        "first_word_seconds": first,
        "rss_mib_by_quarter": medians,
        "rss_ratio": ratio,
        "failures": list(dict.fromkeys(failures))[:20],
        "failed": len(failures),
    }


def _found(model: str, place: Path) -> str:
    """The model as a server finds it; `tiny` has no weights of its own, so some are made."""
    if model != "tiny":
        return model
    from benchmarks.soak_model import talkative  # loads torch, which no other model needs here

    talkative().save_pretrained(place / model)
    return str(place / model)


def main(arguments: list[str] | None = None) -> None:
    """Run all phases and print the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="nano", help="nano, tiny, or a folder that save_pretrained wrote")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--minutes", type=float, default=30.0, help="time under load; the ends come on top")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--growth", type=float, default=GROWTH, help="most growth of memory; minutes need more")
    options = parser.parse_args(arguments)
    tally, figures = Tally(), {"model": options.model, "clients": options.clients}
    code = 0
    with tempfile.TemporaryDirectory(prefix="soak-") as place:
        server = Server(_found(options.model, Path(place)), Path(place) / "sessions")
        try:
            time_under_load = options.minutes * 60
            asyncio.run(soak(server, options.clients, time_under_load, seed=options.seed, tally=tally, figures=figures))
        except KeyboardInterrupt:
            code = 130
    found = summary(tally, figures, options.growth)
    print(json.dumps(found))
    if code or found["failed"]:
        raise SystemExit(code or 1)


if __name__ == "__main__":
    main()
