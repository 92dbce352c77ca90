"""The answers of a run while they come in: a line each, kept at once, in one file per process.

Every process takes the cases that its rank says. It may be killed at any moment: a line that was cut off counts for
nothing and is asked for again. Who finds all cases answered brings them together as `predictions.jsonl`.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from miras.errors import ConfigError
from miras.evaluate.cases import Case, Cases, read_cases
from miras.evaluate.lines import as_line
from miras.evaluate.predictions import write_predictions
from miras.evaluate.runs import CASES, PREDICTIONS
from miras.files import write_beside, write_json
from miras.settings import differences
from miras.types import Prediction

__all__ = ["Parts", "Share", "adopt_cases", "copy_cases"]


@dataclass(frozen=True)
class Share:
    """Which of the cases a process answers: those at the places rank, rank + of, rank + 2 · of …"""

    rank: int = 0
    of: int = 1

    @classmethod
    def from_environment(cls) -> "Share":
        """What torchrun tells its processes; everything where it told nothing."""
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))


def adopt_cases(cases: Path, run: Path) -> Cases:
    """The cases of a file, with a copy in the folder of a run. Raises ConfigError when the folder holds others."""
    asked = read_cases(cases)
    copy_cases(cases, run)
    return asked


def copy_cases(cases: Path, run: Path) -> None:
    """Copies a file of cases into the folder of a run. Raises ConfigError when the folder holds others."""
    content, kept = cases.read_bytes(), run / CASES
    if not kept.is_file():
        with write_beside(kept) as beside:
            beside.write_bytes(content)
    elif kept.read_bytes() != content:
        raise ConfigError(f"{run} holds a run on other cases than {cases}; name another folder")


class Parts:
    """The answers that a run has so far."""

    def __init__(self, run: Path) -> None:
        self.run, self.folder = run, run / "parts"

    def left(self, cases: Cases, share: Share) -> list[Case]:
        """The cases of a share that nobody has answered."""
        done = {line["id"] for line in self._lines()}
        return [case for place, case in enumerate(cases) if place % share.of == share.rank and case.id not in done]

    @contextmanager
    def writing(self, share: Share, about: Mapping[str, Any]) -> Iterator[Callable[[Prediction], None]]:
        """What keeps an answer, for the one process that answers this share.

        Raises ConfigError while another process answers it, and when the run was begun by something else than `about`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._claim(about)
        path = self.folder / f"{share.rank}.jsonl"
        try:
            with FileLock(path.with_suffix(".lock"), timeout=0):
                _drop_cut_line(path)
                with path.open("a", encoding="utf-8") as lines:

                    def keep(prediction: Prediction) -> None:
                        lines.write(as_line(prediction.to_json()))
                        lines.flush()

                    yield keep
        except Timeout:
            raise ConfigError(f"another process answers part {share.rank} of {self.run} now; wait for it") from None

    def bring_together(self, cases: Sequence[Case], about: Mapping[str, Any]) -> int:
        """Writes the file of predictions once every case is answered; gives how many are not."""
        with FileLock(self.folder / "together.lock"):
            found = {line["id"]: line for line in self._lines()}
            if not (missing := sum(case.id not in found for case in cases)):
                write_predictions(self.run / PREDICTIONS, about, (found[case.id] for case in cases))
        return missing

    def _claim(self, about: Mapping[str, Any]) -> None:
        path = self.folder / "about.json"
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                write_json(path, about)
            began = json.loads(path.read_text(encoding="utf-8"))
        if changed := differences(began, about):
            raise ConfigError(f"{self.run} was begun otherwise ({changed}); name another folder")

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Every whole line that any process has written."""
        for path in sorted(self.folder.glob("*.jsonl")):
            for line in path.read_bytes().split(b"\n")[:-1]:
                yield json.loads(line)


def _drop_cut_line(path: Path) -> None:
    """Takes away what was written after the last line break when the process before was killed."""
    if path.is_file() and not (kept := path.read_bytes()).endswith(b"\n"):
        with write_beside(path) as beside:
            beside.write_bytes(kept[: kept.rfind(b"\n") + 1])
