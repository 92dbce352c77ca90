"""A run on many machines: the images in shards, each shard a run of its own, mapped over by Ray Data.

All machines see the folder of the run. A shard that is finished is not begun again; one that was cut off goes on from
its own store. Limits hold for the whole run: a shard gets its part of the budget, and its part of the pace.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from miras.data.prist import write
from miras.errors import ConfigError, LlmError, MirasError
from miras.files import write_json
from miras.generate.images import Picture
from miras.generate.job import Job
from miras.generate.run import Progress, Telling, run
from miras.settings import differences

__all__ = ["run_on_cluster"]


@dataclass(frozen=True)
class _Shard:
    """Does one shard; Ray sends it to where the work is."""

    job: Job
    pictures: Sequence[Picture]
    size: int

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        index = int(row["item"])
        mine = self.pictures[index * self.size : (index + 1) * self.size]
        try:
            report = asyncio.run(run(self.job, mine, _folder(self.job, index)))
        except MirasError as error:
            return {"images": 0, "dialogues": 0, "error": f"shard {index}: {error}"}
        return {"images": len(mine), "dialogues": report["dialogues"], "error": ""}


def run_on_cluster(job: Job, pictures: Sequence[Picture], size: int, tell: Telling) -> dict[str, Any]:
    """Makes the dialogues of all images, `size` to a shard, as many shards at once as the cluster has processors.

    They are those that one machine makes, in the same order. Raises ConfigError without Ray, and LlmError when a shard
    fails, after the others are done.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError("--engine ray needs Ray, which is not installed; run pip install 'miras[ray]'") from error
    shards = range(-(-len(pictures) // size))
    _claim(job, pictures, size)
    waiting = [index for index in shards if not _finished(job, index)]
    progress = Progress(len(pictures), sum(len(pictures[i * size : i * size + size]) for i in {*shards} - {*waiting}))
    failed = []
    if waiting:
        ray.init(ignore_reinit_error=True, log_to_driver=False)
        at_work = min(len(waiting), max(1, int(ray.cluster_resources().get("CPU", 1))))
        shard = _Shard(replace(job, limits=job.limits.part(at_work, len(shards))), pictures, size)
        rows = ray.data.from_items(waiting, override_num_blocks=len(waiting)).map(shard, concurrency=at_work)
        for row in rows.iter_rows():
            progress.done += row["images"]
            progress.dialogues += row["dialogues"]
            failed += [row["error"]] if row["error"] else []
            tell(progress)
    report = _merge(job, [index for index in shards if _finished(job, index)])
    if failed:
        raise LlmError(f"{len(failed)} of {len(shards)} shards failed; {failed[0]}")
    return report


def _folder(job: Job, index: int) -> Path:
    return job.out / "parts" / f"{index:06d}"


def _claim(job: Job, pictures: Sequence[Picture], size: int) -> None:
    """Writes down what the parts are made of. Raises ConfigError where they were begun with something else."""
    names = hashlib.sha256("\n".join(picture.name for picture in pictures).encode()).hexdigest()[:16]
    plan, place = {**job.settings, "images": names, "shard": size}, job.out / "parts" / "plan.json"
    if not place.is_file():
        write_json(place, plan)
        return
    began = json.loads(place.read_text(encoding="utf-8"))
    if changed := differences(began, plan):
        raise ConfigError(f"the run in {job.out} was begun otherwise ({changed}); name another folder")


def _finished(job: Job, index: int) -> bool:
    report = _folder(job, index) / "report.json"
    if not report.is_file():
        return False
    said = json.loads(report.read_text(encoding="utf-8"))
    return bool(said["images"] == said["asked_for"])


def _merge(job: Job, indices: Sequence[int]) -> dict[str, Any]:
    """All parts as one file, and their counts added up."""
    counts: Counter[str] = Counter()
    rejected: Counter[str] = Counter()

    def records() -> Iterator[dict[str, Any]]:
        for index in indices:
            report = json.loads((_folder(job, index) / "report.json").read_text(encoding="utf-8"))
            rejected.update(report.pop("rejected"))
            counts.update({name: value for name, value in report.items() if name not in job.settings})
            yield from json.loads((_folder(job, index) / "dialogues.json").read_text(encoding="utf-8"))

    write(records(), job.out / "dialogues.json")
    report = {**counts, "rejected": dict(rejected.most_common()), **job.settings}
    write_json(job.out / "report.json", report)
    return report
