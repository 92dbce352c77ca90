"""`miras` as processes of their own, as people start them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Process", "began", "served"]

_PATIENCE = 90.0
"""Seconds for a start or an end on a busy machine."""


@dataclass
class Process:
    """A command that runs, and the file with all that it says."""

    popen: "subprocess.Popen[bytes]"
    log: Path
    address: str = ""
    """http://… of a server."""

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self.log.read_text(encoding="utf-8")

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait; the exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(_PATIENCE)


@contextmanager
def began(arguments: Sequence[str], log: Path) -> Iterator[Process]:
    """`miras ARGUMENTS`; what still runs in the end is killed."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    with log.open("wb") as file:
        popen = subprocess.Popen(
            [sys.executable, "-m", "miras", *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env=environment,
        )
    try:
        yield Process(popen, log)
    finally:
        popen.kill()
        popen.wait()


@contextmanager
def served(model: Path, folder: Path, *more: str) -> Iterator[Process]:
    """A server at a free port of this machine, from the moment at which it says its address."""
    arguments = ["serve", "--model", str(model), "--port", "0", "--folder", str(folder), "--per-minute", "0", *more]
    with began(arguments, folder.with_name(f"{folder.name}.log")) as process:
        until = time.monotonic() + _PATIENCE
        while not (found := re.search(r"serving \S+ in \S+ at (http://\S+:\d+)", process.said)):
            assert process.popen.poll() is None, f"the server has ended: {process.said}"
            assert time.monotonic() < until, f"the server does not say its address: {process.said}"
            time.sleep(0.02)
        process.address = found[1]
        yield process
