"""A project of annotation as a folder: written once, read with all that its people gave back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from miras.annotate.agreement import Agreement, agreement
from miras.annotate.collect import Remark, Work, collect
from miras.annotate.plan import (
    PLAN,
    RECORDS,
    TASKS,
    Group,
    Item,
    Plan,
    Record,
    by_image,
    make_plan,
    read_plan,
    written,
)
from miras.annotate.tasks import Sheet, image_sizes, proposed, write_tasks
from miras.data.labelme import Shape, mask_shape
from miras.data.masks import decode
from miras.data.prist import read, require
from miras.errors import DataError
from miras.files import made_beside, write_json

__all__ = ["Project", "export", "given_out", "new_folder", "open_project"]


@dataclass(frozen=True)
class Project:
    """What was given out, and how to read what came back."""

    folder: Path
    plan: Plan
    records: Sequence[Record]
    """As they were given out."""
    returned: Path
    """Folder with one folder per person, mostly the project's own tasks."""
    wanted: Mapping[str, Mapping[Item, Sequence[int]]] = field(default_factory=dict)
    """Image → its items with the numbers of their records."""

    def items(self, group: Group) -> list[Item]:
        """What the group marks."""
        return [item for image in group.images for item in self.wanted[image]]

    def numbers(self, group: Group) -> list[int]:
        """The records of the group, in their order."""
        return sorted(number for image in group.images for found in self.wanted[image].values() for number in found)

    def image(self, name: str) -> Path:
        """Where an image lies: in the folder that its group's first annotator was given."""
        group = next(group for group in self.plan.groups if name in group.images)
        return self.folder / TASKS / group.annotators[0] / Path(name).name

    def works(self, tell: Callable[[], None] = lambda: None) -> dict[str, dict[str, Work]]:
        """Group → person → what they gave back: both annotators, resolver and reviewer.

        `tell` is called after each image of each annotator. Raises DataError when an annotator's folder is missing.
        """
        return {group.name: self._work(group, tell) for group in self.plan.groups}

    def _work(self, group: Group, tell: Callable[[], None]) -> dict[str, Work]:
        wanted = {image: self.wanted[image] for image in group.images}
        given = self.records, self.plan.sizes
        found = {
            name: collect(self.returned / name, name, wanted, *given, all_due=True, tell=tell)
            for name in group.annotators
        }
        later = (group.resolver, self.plan.reviewer)
        return found | {name: collect(self.returned / name, name, wanted, *given, all_due=False) for name in later}

    def agreements(
        self, works: Mapping[str, Mapping[str, Work]], *, seed: int = 0
    ) -> tuple[list[Agreement], list[Remark]]:
        """The agreement of each group, and every remark; `works` is by group and person."""
        found, remarks = [], []
        for group in self.plan.groups:
            first, second = (works[group.name][name] for name in group.annotators)
            found.append(agreement(group, self.items(group), first, second, seed=seed))
            remarks += [remark for work in works[group.name].values() for remark in work.remarks]
        return found, remarks


def open_project(folder: Path, returned: Path | None = None) -> Project:
    """The project in a folder that `export` wrote. Raises DataError when it is none or does not hold together."""
    plan = read_plan(folder)
    records = given_out(folder)
    wanted = by_image(records)
    placed = [image for group in plan.groups for image in group.images]
    if sorted(placed) != sorted(wanted) or set(placed) != set(plan.sizes):
        raise DataError(
            f"{folder / PLAN} divides {len(placed)} images, {folder / RECORDS} is about {len(wanted)}; put back the "
            "two files that were exported together"
        )
    return Project(folder, plan, records, folder / TASKS if returned is None else returned, wanted)


def given_out(folder: Path) -> list[Record]:
    """The records of a project or a trial. Raises DataError when they are missing or break PRIST's rules."""
    path = folder / RECORDS
    return [require(record, f"{path}, record {number}") for number, record in enumerate(read(path))]


def export(
    records: Sequence[Record],
    out: Path,
    images: Path,
    *,
    groups: int,
    seed: int = 0,
    people: Sequence[str] = (),
    start: bool = False,
    tell: Callable[[], None] = lambda: None,
) -> Project:
    """Writes a new project with the folders of its annotators; `tell` is called after each image looked at.

    With `start`, masks that the records hold are shown to both annotators as proposals ` [start]`. Raises DataError
    when `out` already holds something, and what `make_plan` raises; then nothing is written.
    """
    new_folder(out)
    wanted = by_image(records)
    plan = make_plan(records, image_sizes(list(wanted), images, tell), groups=groups, seed=seed, people=people)
    with made_beside(out, replacing=[]) as folder:
        write_json(folder / PLAN, written(plan))
        write_json(folder / RECORDS, list(records))
        for group in plan.groups:
            sheets = [
                Sheet(name, plan.sizes[name], wanted[name], _shown(wanted[name], records) if start else ())
                for name in group.images
            ]
            for person in group.annotators:
                write_tasks(folder / TASKS / person, sheets, records, lambda name: images / name)
    return Project(out, plan, records, out / TASKS, wanted)


def _shown(wanted: Mapping[Item, Sequence[int]], records: Sequence[Record]) -> tuple[Shape, ...]:
    """The first mask that the records hold of each item, as a proposal."""
    masks = {
        item: next((mask for number in numbers if (mask := records[number].get("mask")) is not None), None)
        for item, numbers in wanted.items()
    }
    shapes = [mask_shape(item.label, decode(mask)) for item, mask in masks.items() if mask is not None]
    return tuple(proposed(shape, "start") for shape in shapes if shape is not None)


def new_folder(out: Path) -> None:
    """Raises DataError when there is something at `out`: work that came back is never written over."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} should be a new folder, and there is something in it; give another one")
