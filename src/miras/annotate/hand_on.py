"""What people do not agree on goes to the next person: a folder as theirs, with what was drawn as proposals."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from miras.annotate.adjudicate import Decision
from miras.annotate.corrections import TextDecision
from miras.annotate.plan import TASKS, Group, Item
from miras.annotate.project import Project
from miras.annotate.tasks import Sheet, fingerprint, proposed, write_tasks
from miras.data.labelme import Shape, mask_shape, read_labelme
from miras.data.masks import decode
from miras.errors import DataError
from miras.files import made_beside

__all__ = ["To", "hand_on"]

To = Literal["resolver", "reviewer"]


def hand_on(
    project: Project,
    to: To,
    decisions: Sequence[Decision],
    texts: Sequence[TextDecision],
    *,
    check: float = 0.1,
    seed: int = 0,
) -> dict[str, int]:
    """Writes the folder of each resolver, or the reviewer's, and returns person → number of images in it.

    It holds every image with an item or a dialogue that is theirs to decide, and of the other images a share of
    `check` (0..1) drawn by the seed, for their eyes on what is settled. What was drawn stands there as proposals
    ` [person]`, what is settled as ` [settled]`; a person decides by giving a shape the bare label. Files that are
    there already are kept, so that work that was begun is not lost.
    """
    made: dict[str, int] = {}
    people = {
        group.name: project.plan.reviewer if to == "reviewer" else group.resolver for group in project.plan.groups
    }
    for person in dict.fromkeys(people.values()):
        groups = [group for group in project.plan.groups if people[group.name] == person]
        names = _images(project, groups, to, decisions, texts, check, seed)
        if names:
            _write(project, person, groups, names, decisions, texts)
        made[person] = len(names)
    return made


def _images(
    project: Project,
    groups: Sequence[Group],
    to: To,
    decisions: Sequence[Decision],
    texts: Sequence[TextDecision],
    check: float,
    seed: int,
) -> list[str]:
    """The images that go on, in the order of the plan."""
    every = [image for group in groups for image in group.images]
    resolvers = {group.resolver for group in groups}
    open_masks = {
        decision.item.image
        for decision in decisions
        if not decision.settled and (to == "reviewer" or decision.next in resolvers)
    }
    open_texts = {decision.record["img_id"] for decision in texts if not decision.settled}
    rest = [image for image in every if image not in open_masks | open_texts]
    drawn = random.Random(seed).sample(rest, min(len(rest), round(check * len(rest))))
    return [image for image in every if image in open_masks | open_texts | set(drawn)]


def _write(
    project: Project,
    person: str,
    groups: Sequence[Group],
    names: Sequence[str],
    decisions: Sequence[Decision],
    texts: Sequence[TextDecision],
) -> None:
    of_item = {decision.item: decision for decision in decisions}
    of_record = {decision.number: decision for decision in texts}
    drawers = {image: (*group.annotators, group.resolver) for group in groups for image in group.images}
    own = project.folder / TASKS / person
    sheets = []
    for name in drawers:
        if name not in names and not (own / f"{Path(name).stem}.json").exists():
            continue  # what is there from before stays on the page and in the list of labels
        items = project.wanted[name]
        shapes: list[Shape] = []
        for item in items:
            shapes += _proposals(project, of_item[item], drawers[name])
        beside = {number: _beside(of_record[number]) for numbers in items.values() for number in numbers}
        sheets.append(Sheet(name, project.plan.sizes[name], items, tuple(shapes), beside))
    with made_beside(own, replacing=["index.html", "labels.txt"]) as folder:
        # a dialogue that is settled is shown as it now reads, any other as it was given out
        write_tasks(folder, sheets, [of_record[number].record for number in range(len(of_record))], project.image)


def _proposals(project: Project, decision: Decision, drawers: Sequence[str]) -> list[Shape]:
    if decision.settled:
        shape = None if decision.mask is None else mask_shape(decision.item.label, decode(decision.mask))
        return [] if shape is None else [proposed(shape, "settled")]
    return [proposed(shape, person) for person in drawers for shape in _drawn(project.returned / person, decision.item)]


def _drawn(folder: Path, item: Item) -> list[Shape]:
    """The shapes that a person gave an item; none where their file is missing or broken."""
    try:
        labelled = read_labelme(folder / f"{Path(item.image).stem}.json")
    except DataError:
        return []
    return [shape for shape in labelled.shapes if shape.label == item.label]


def _beside(decision: TextDecision) -> Mapping[str, Any]:
    changed = {} if decision.settled else {"changed": dict(decision.differences or {})}
    return {"looked": False, "given": fingerprint(decision.record), **changed}
