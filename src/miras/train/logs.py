"""What a run tells: a line of JSON per few steps, the same for TensorBoard, and a progress line with time left."""

import json
import logging
import time
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from miras.files import write_text

__all__ = ["RunLog", "mean_of"]

_FILE = "log.jsonl"
_SHOWN = ("loss", "text", "bce", "dice", "seen_iou", "seconds_per_step")


class RunLog:
    """The logs of one run; lines after the step from which it goes on are dropped. Without a folder none are kept."""

    def __init__(self, folder: Path | None, console: Console, *, steps: int, done: int) -> None:
        self.path = folder / _FILE if folder else None
        self.console, self.steps, self.done = console, steps, done
        self._board = None
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            _cut(folder / _FILE, done)
            self._board = _tensorboard(folder, done)
        self._progress: Progress | None = None
        self._began = time.monotonic()

    def __enter__(self) -> "RunLog":
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
            self._progress = Progress(*columns, TimeRemainingColumn(), console=self.console)
            self._task = self._progress.add_task("training", total=self.steps, completed=self.done)
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()
        if self._board:
            self._board.close()

    def step(self, step: int) -> None:
        """Move the progress line."""
        if self._progress:
            self._progress.update(self._task, completed=step)

    def row(self, step: int, values: Mapping[str, Any]) -> None:
        """Log the mean figures of the steps before `step`."""
        self._write({"step": step, **values})
        shown = " ".join(f"{name} {values[name]:.4g}" for name in _SHOWN if name in values)
        if self._progress:
            self._progress.update(self._task, description=shown)
        else:
            left = (time.monotonic() - self._began) / max(1, step - self.done) * (self.steps - step) / 60
            self.say(f"{step}/{self.steps} {shown} left {left:.0f} min")

    def validation(self, step: int, figures: Mapping[str, Any]) -> None:
        """Log a validation."""
        self._write({"step": step, "validation": figures})
        sizes = figures.get("by_size", {})
        parts = [f"{name} {sums['giou']:.3f}" for name, sums in sizes.items() if sums["giou"] is not None]
        self.say(f"step {step}: gIoU {figures['giou']:.4f} cIoU {figures['ciou']:.4f} ({', '.join(parts)})")

    def say(self, line: str) -> None:
        """One line for the person who waits."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _write(self, row: Mapping[str, Any]) -> None:
        if self.path:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        if self._board:
            for name, value in _flat(row):
                if name != "step":
                    self._board.add_scalar(name, value, row["step"])


def mean_of(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure over the rows that have it."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in columns.items()}


def _cut(path: Path, done: int) -> None:
    """Drop the lines after step `done`, and one that was not written to its end."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= done]
    write_text(path, "".join(f"{line}\n" for line in kept))


def _flat(row: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, float]]:
    """Every number of a nested row under the names that lead to it."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}/")
        elif isinstance(value, int | float):
            yield above + name, float(value)


def _tensorboard(folder: Path, done: int) -> Any:
    """A writer where TensorBoard is installed; steps after `done` that it holds already are hidden."""
    if find_spec("tensorboard") is None:
        return None
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1 if done else None)
