"""What a run of training tells of itself: settings, steps, time, and its last figures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from miras.errors import CheckpointError
from miras.train.command import MODEL

__all__ = ["Trained", "find_model", "read_run"]


@dataclass(frozen=True)
class Trained:
    """A run as its folder tells it."""

    settings: Mapping[str, Any]
    steps: int = 0
    """Optimizer steps that its log holds."""
    seconds: float | None = None
    """Spent in steps, over all its starts; None where the log has no step."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """Terms of the loss, as the last line of the log has them."""
    validation: Mapping[str, Any] | None = None
    """The last validation; None where there was none."""


def find_model(place: str) -> tuple[str, Path | None]:
    """What `Miras.from_pretrained` reads, and the run it comes from where `place` is a run or a model in one.

    Raises CheckpointError for a run that has written no model yet.
    """
    folder = Path(place)
    if (folder / "config.yaml").is_file():
        if not (folder / MODEL / "config.json").is_file():
            raise CheckpointError(
                f"{folder} should hold {MODEL}/, which a run writes when it ends; let it end, or go on with minutes=0.1"
            )
        return str(folder / MODEL), folder
    run = folder.resolve().parent
    return place, run if folder.resolve().name == MODEL and (run / "config.yaml").is_file() else None


def read_run(folder: Path) -> Trained:
    """Read `config.yaml` and `log.jsonl` of a run. Raises CheckpointError when the settings cannot be read."""
    try:
        settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CheckpointError(
            f"{folder}/config.yaml cannot be read ({error}); take the run's folder as it was"
        ) from error
    step, seconds, losses, validation = 0, None, dict[str, float](), None
    for row in _rows(folder / "log.jsonl"):
        if "validation" in row:
            validation = row["validation"]
        elif row.get("step", 0) > step and "seconds_per_step" in row:
            seconds = (seconds or 0.0) + row["seconds_per_step"] * (row["step"] - step)
            step = row["step"]
            losses = {name: row[name] for name in ("loss", "text", "bce", "dice") if name in row}
    return Trained(settings, step, seconds, losses, validation)


def _rows(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log; a run may be writing the last one just now."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]
