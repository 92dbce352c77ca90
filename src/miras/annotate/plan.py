"""Who marks what: groups of two annotators and a resolver, one reviewer over all, every image in one group.

A project is a folder::

    plan.json            this plan
    records.json         the PRIST records as they were given out
    tasks/{person}/      what each person works in, see `miras.annotate.tasks`
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from miras.errors import ConfigError, DataError
from miras.files import safe_name

__all__ = [
    "PLAN",
    "RECORDS",
    "TASKS",
    "Group",
    "Item",
    "Plan",
    "Record",
    "by_image",
    "check_people",
    "check_stems",
    "items",
    "label",
    "make_plan",
    "read_plan",
    "written",
]

PLAN, RECORDS, TASKS = "plan.json", "records.json", "tasks"
"""Names in a project's folder."""

Record = dict[str, Any]
"""One PRIST record, see `miras.data.prist`."""


class Item(NamedTuple):
    """What is marked once: one label on one image. Records with one image and one focus share it."""

    image: str
    label: str


@dataclass(frozen=True)
class Group:
    """People who mark the same images, and the images."""

    name: str
    """G1, G2, … as in the paper's table 1."""
    annotators: tuple[str, str]
    """They mark every image, each without the other."""
    resolver: str
    """Marks what the two do not agree on."""
    images: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Who marks what. Section 3.3 of the paper has five groups, appendix B.1 three of them: 3 · 3 + 1 = 10 people."""

    seed: int
    groups: tuple[Group, ...]
    reviewer: str
    """Has the last word on every image."""
    sizes: Mapping[str, tuple[int, int]]
    """Image → (height, width) in upright pixels."""


def label(focus: str) -> str:
    """The label of a focus: its words with one space between them, since labelme strips what is typed."""
    return " ".join(focus.split())


def items(records: Sequence[Record]) -> dict[Item, list[int]]:
    """What there is to mark, with the numbers of the records that need it, in the order of the records."""
    found: dict[Item, list[int]] = {}
    for index, record in enumerate(records):
        found.setdefault(Item(record["img_id"], label(record["focus"])), []).append(index)
    return found


def by_image(records: Sequence[Record]) -> dict[str, dict[Item, list[int]]]:
    """Image → its `items`."""
    found: dict[str, dict[Item, list[int]]] = {}
    for item, numbers in items(records).items():
        found.setdefault(item.image, {})[item] = numbers
    return found


def make_plan(
    records: Sequence[Record],
    sizes: Mapping[str, tuple[int, int]],
    *,
    groups: int,
    seed: int,
    people: Sequence[str] = (),
) -> Plan:
    """Divides the images into groups by the seed, so that the groups get the same number of records or nearly so.

    The records of two groups differ in number by those of one image at most. `people` are named group by group, two
    annotators and their resolver, the reviewer last; without names they are g1-a, g1-b, g1-c, … and reviewer. Raises
    ConfigError when there are fewer images than groups or the names do not fit, DataError when two images would share
    one labelme file.
    """
    loads: dict[str, int] = {}
    for record in records:
        loads[record["img_id"]] = loads.get(record["img_id"], 0) + 1
    if not 1 <= groups <= len(loads):
        raise ConfigError(f"groups should be 1 to {len(loads)}, the number of images, got {groups}; choose among these")
    check_stems(list(loads))
    names = list(people) or [f"g{n}-{letter}" for n in range(1, groups + 1) for letter in "abc"] + ["reviewer"]
    if len(names) != 3 * groups + 1:
        raise ConfigError(
            f"{groups} groups need {3 * groups + 1} people, two annotators and a resolver each and a reviewer, "
            f"got {len(names)}; name them in this order"
        )
    check_people(names)
    parts = _divided(loads, groups, seed)
    made = tuple(
        Group(f"G{n + 1}", (names[3 * n], names[3 * n + 1]), names[3 * n + 2], tuple(part))
        for n, part in enumerate(parts)
    )
    return Plan(seed, made, names[-1], {name: sizes[name] for name in loads})


def check_people(names: Sequence[str]) -> None:
    """Raises ConfigError for a name that is there twice or makes no folder."""
    for name in names:
        if safe_name(name) != name:
            raise ConfigError(
                f"people are named in a-z, 0-9 and hyphens, since their folders are, got {name!r}; write "
                f"{safe_name(name)}"
            )
        if names.count(name) > 1:
            raise ConfigError(f"every person has one part in a plan, got {name} {names.count(name)} times; add others")


def check_stems(images: Sequence[str]) -> None:
    """Raises DataError for two images whose labelme files would have one name."""
    stems: dict[str, str] = {}
    for name in images:
        if (other := stems.setdefault(Path(name).stem, name)) != name:
            raise DataError(f"{other} and {name} would share one labelme file; rename one of the images")


def _divided(loads: Mapping[str, int], groups: int, seed: int) -> list[list[str]]:
    """The heaviest images first, each to the group that has least; among equals the seed chooses."""
    names = list(loads)
    random.Random(seed).shuffle(names)
    names.sort(key=lambda name: -loads[name])
    parts: list[list[str]] = [[] for _ in range(groups)]
    held = [0] * groups
    for name in names:
        least = held.index(min(held))
        parts[least].append(name)
        held[least] += loads[name]
    order = {name: place for place, name in enumerate(loads)}
    return [sorted(part, key=order.__getitem__) for part in parts]


def written(plan: Plan) -> dict[str, Any]:
    """The content of a plan's file."""
    return asdict(plan)


def read_plan(project: Path) -> Plan:
    """The plan of a project. Raises DataError when there is none, or none that was written here."""
    path = project / PLAN
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        groups = tuple(_group(row) for row in whole["groups"])
        sizes = {str(name): (int(height), int(width)) for name, (height, width) in whole["sizes"].items()}
        return Plan(int(whole["seed"]), groups, str(whole["reviewer"]), sizes)
    except FileNotFoundError as error:
        raise DataError(f"no {PLAN} in {project}; give the folder that `miras annotate export` wrote") from error
    except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no plan of `miras annotate export` ({error!r}); export again") from error


def _group(row: Mapping[str, Any]) -> Group:
    first, second = row["annotators"]
    return Group(str(row["name"]), (str(first), str(second)), str(row["resolver"]), tuple(map(str, row["images"])))
