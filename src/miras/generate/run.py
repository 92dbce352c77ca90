"""A run on one machine: many images at work at once, each finished one kept in the store before the next is taken.

Its folder holds `run.sqlite` (replies and finished images), `dialogues.json` (PRIST), `report.json` and `run.log`.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from miras.data.prist import write
from miras.files import write_json
from miras.generate.images import Picture
from miras.generate.job import Job
from miras.generate.teachers import Teacher
from miras.llm.client import Client
from miras.llm.store import Store
from miras.llm.work import work_through

__all__ = ["Progress", "Telling", "run", "teach_all", "write_out"]

_LOG = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a run is."""

    images: int
    """All that were asked for."""
    before: int
    """Finished in earlier starts."""
    done: int = 0
    """Finished in this start."""
    dialogues: int = 0
    cost: float | None = None
    """Spent over all starts, at the prices given; None without a model."""
    start: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Images a second, in this start."""
        return self.done / max(1e-9, time.monotonic() - self.start)

    @property
    def left(self) -> float | None:
        """Seconds until the end at this rate; None before the first image."""
        return (self.images - self.before - self.done) / self.rate if self.done else None


Telling = Callable[[Progress], None]


def _silent(progress: Progress) -> None:
    """Says nothing."""


async def run(job: Job, pictures: Sequence[Picture], folder: Path, tell: Telling = _silent) -> dict[str, Any]:
    """Makes the dialogues of all these images in a folder, going on where an earlier start ended; gives its report.

    However it ends, all that is finished is written out. Raises ConfigError when the folder holds another run, and
    what the teacher raises when it fails.
    """
    with Store(folder / "run.sqlite") as store:
        store.claim(job.settings)
        spent: Mapping[str, Any] = {}
        try:
            async with job.open_teacher(store) as (teacher, client):
                try:
                    await teach_all(pictures, teacher, store, at_once=job.limits.at_once, tell=tell, client=client)
                finally:
                    spent = client.spent if client else {}
        finally:
            report = write_out(store, folder, {"asked_for": len(pictures), **spent, **job.settings})
    return report


async def teach_all(
    pictures: Sequence[Picture],
    teacher: Teacher,
    store: Store,
    *,
    at_once: int,
    tell: Telling = _silent,
    client: Client | None = None,
) -> Progress:
    """Teaches every picture that the store does not hold, twice `at_once` at a time so that a server never waits.

    An error of the teacher ends it after the images at work; those that are finished are kept, and so they are when it
    is cancelled.
    """
    finished = store.finished()
    waiting = [picture for picture in pictures if picture.name not in finished]
    progress = Progress(len(pictures), sum(picture.name in finished for picture in pictures))

    async def teach(picture: Picture) -> None:
        taught = await teacher.teach(picture)
        store.finish(picture.name, taught.plain())
        progress.done += 1
        progress.dialogues += len(taught.dialogues)
        progress.cost = client.budget.cost if client else None
        for one in taught.rejected:
            _LOG.info("%s: rejected %s at %s: %s", picture.name, one.target, one.step, one.reason)
        tell(progress)

    await work_through(waiting, teach, at_once=2 * at_once)
    return progress


def write_out(store: Store, out: Path, more: Mapping[str, Any]) -> dict[str, Any]:
    """Writes all that the store holds as `dialogues.json`, and its counts as `report.json`, which it returns."""
    counts = Counter(images=0, images_without_dialogue=0, dialogues=0)
    rejected: Counter[str] = Counter()

    def records() -> Iterator[dict[str, Any]]:
        for content in store.items():
            counts["images"] += 1
            counts["images_without_dialogue"] += not content["records"]
            counts["dialogues"] += len(content["records"])
            rejected.update(f"{one['step']}: {one['rule']}" for one in content["rejected"])
            yield from content["records"]

    write(records(), out / "dialogues.json")
    report = {**counts, "rejected": dict(rejected.most_common()), **more}
    write_json(out / "report.json", report)
    return report
