"""Requests a second of `miras generate` over what the server allows: concurrency divided by latency.

    python benchmarks/generate.py [--images 1000] [--at-once 64] [--latency 0.3] [--side 640]

The server is a process of its own on loopback that answers every step of the pipeline well, after a fixed latency. The
images are photos-like JPEGs of `side` pixels, sent whole with every request that shows one. What is counted is the
steady part: from the first 10 % of the images to the last 10 %. Prints the processors' time of both processes, the
memory of the client at 10 % and at the end, and, as its last line, one line of JSON.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from miras.generate.images import listed
from miras.generate.job import Job
from miras.generate.run import Progress, teach_all
from miras.llm.client import Endpoint
from miras.llm.limits import Limits
from miras.llm.store import Store

__all__ = ["Mark", "main", "measure"]

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Mark:
    """What was true at a moment of the run."""

    seconds: float
    requests: int
    client_cpu: float
    """Seconds of processor time."""
    server_cpu: float
    memory: int
    """Bytes of the client that are resident."""


@contextmanager
def _server(latency: float) -> Iterator[psutil.Popen]:
    """The stand-in for a model, as a process; its first line is its port."""
    settings = json.dumps({"latency": latency})
    command = [sys.executable, "-m", "tests.llm.loopback", "tests.generate.seer", settings]
    process = psutil.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def _photos(folder: Path, count: int, side: int) -> None:
    """Different smooth pictures with some grain, about as large as photos of that size are."""
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        picture = np.asarray(coarse.resize((side, side * 3 // 4), Image.Resampling.BICUBIC)).astype(np.int16)
        picture = picture + rng.integers(-6, 7, picture.shape, dtype=np.int16)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"{index:05d}.jpg", quality=85)


def measure(images: Path, work: Path, *, at_once: int, latency: float) -> tuple[Mark, Mark, Progress]:
    """The marks at 10 % and at 90 % of the images, and how the run ended."""
    pictures = listed(images)
    with _server(latency) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        job = Job("seer", images, work, endpoint=Endpoint("seer", url), limits=Limits(at_once=at_once))
        client_process = psutil.Process()
        marks: dict[int, Mark] = {}

        async def run(store: Store) -> Progress:
            async with job.open_teacher(store) as (teacher, client):
                assert client is not None

                def tell(progress: Progress) -> None:
                    if progress.done in (len(pictures) // 10, len(pictures) * 9 // 10):
                        marks[progress.done] = Mark(
                            time.perf_counter(),
                            client.asked,
                            sum(client_process.cpu_times()[:2]),
                            sum(server.cpu_times()[:2]),
                            client_process.memory_info().rss,
                        )

                return await teach_all(pictures, teacher, store, at_once=at_once, tell=tell, client=client)

        with Store(work / "run.sqlite") as store:
            progress = asyncio.run(run(store))
    first, last = marks.values()
    return first, last, progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.3, help="seconds")
    parser.add_argument("--side", type=int, default=640, help="pixels")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        _photos(images, given.images, given.side)
        size = sum(path.stat().st_size for path in images.iterdir()) / given.images
        first, last, progress = measure(images, Path(folder), at_once=given.at_once, latency=given.latency)
    seconds = last.seconds - first.seconds
    rate, ideal = (last.requests - first.requests) / seconds, given.at_once / given.latency
    client, server = (last.client_cpu - first.client_cpu) / seconds, (last.server_cpu - first.server_cpu) / seconds
    grown = (last.memory - first.memory) / 2**20
    print(f"{given.images} images of {size / 1000:.0f} kB, {progress.dialogues} dialogues")
    print(f"{rate:.1f} requests a second of {ideal:.1f}; processors: client {client:.2f}, server {server:.2f}")
    print(f"client resident {first.memory / 2**20:.0f} MiB at 10 %, {grown:+.0f} MiB at 90 %")
    result = {
        "benchmark": "generate", "ratio": round(rate / ideal, 4), "peer": "concurrency divided by latency",
        "requests_per_second": round(rate, 1), "client_cpu": round(client, 2), "server_cpu": round(server, 2),
        "grown_mib": round(grown, 1), "images": given.images, "at_once": given.at_once, "latency": given.latency,
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
