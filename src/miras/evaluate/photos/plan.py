"""What the photo protocol asks: every dialogue of every part, drawn from one seed before the model says a word."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from miras import tokens
from miras.data import dialogues
from miras.data.images import blank_image
from miras.data.photos import Photo
from miras.errors import ConfigError
from miras.evaluate.photos.answers import Asked, balanced_questions
from miras.evaluate.photos.targets import PhotoCase, all_cases, seeded_subset, stratified
from miras.evaluate.predict import Task
from miras.types import Dialogue

__all__ = ["BLOCK", "CONVERSATIONS", "Plan", "last_request", "make_plan", "make_tasks"]

CONVERSATIONS = 200
"""Number of multi-turn dialogues over a whole split."""

BLOCK = 48
"""Photos whose tasks of all parts run together, so that each is encoded once."""


@dataclass(frozen=True)
class Plan:
    """The drawn protocol."""

    cases: tuple[PhotoCase, ...]
    """Every target with its direct request."""
    direct: dict[int, Dialogue]
    """Direct request of each case, by the case's index."""
    conversing: tuple[PhotoCase, ...]
    """The stratified cases that get a multi-turn dialogue."""
    conversations: dict[int, Dialogue]
    """Multi-turn dialogue of each of those, by the case's index."""
    possible: int
    """Cases for which a multi-turn dialogue could be written."""
    asked: tuple[Asked, ...]
    """The balanced questions."""


def make_plan(photos: Sequence[Photo], *, seed: int, limit: int | None = None) -> Plan:
    """Draw the protocol over the photos of a split. `limit` keeps that many targets and scales the rest alike."""
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be at least 1 target, got {limit}; leave it out to evaluate the whole split")
    everything = all_cases(photos)
    cases = seeded_subset(everything, limit, np.random.default_rng([seed, 3]))
    share = len(cases) / max(len(everything), 1)
    drawn = {
        case.index: dialogues.multi_turn(case.photo, case.target, np.random.default_rng([seed, case.index, 1]))
        for case in cases
    }
    possible = [case for case in cases if drawn[case.index] is not None]
    conversing = stratified(possible, max(1, round(CONVERSATIONS * share)), np.random.default_rng([seed, 4]))
    kept = {case.photo_index: case.photo for case in cases}
    return Plan(
        cases=tuple(cases),
        direct={
            case.index: dialogues.direct(case.photo, case.target, np.random.default_rng([seed, case.index]))
            for case in cases
        },
        conversing=tuple(conversing),
        conversations={case.index: dialogue for case in conversing if (dialogue := drawn[case.index]) is not None},
        possible=len(possible),
        asked=tuple(balanced_questions(kept, dialogues.vocabulary(photos), seed=seed, share=share)),
    )


def last_request(dialogue: Dialogue) -> Dialogue:
    """The last question and answer of a dialogue, on their own."""
    turns = dialogue.turns[-2:]
    first = len(dialogue.targets) - turns[-1].text.count(tokens.SEG)
    return replace(dialogue, turns=turns, targets=dialogue.targets[first:])


def make_tasks(plan: Plan) -> list[Task]:
    """Every dialogue of every part, in an order that lets neighbours share images and lengths.

    Parts: direct, multi_turn, no_history and bypassed (index: the case's), answers and blank (index: the place
    of the question).
    """
    tasks = [
        *(_task("direct", case.index, plan.direct[case.index], case.photo) for case in plan.cases),
        *(_task("answers", place, asked.dialogue, asked.photo) for place, asked in enumerate(plan.asked)),
    ]
    for case in plan.conversing:
        dialogue, direct = plan.conversations[case.index], plan.direct[case.index]
        tasks.append(_task("multi_turn", case.index, dialogue, case.photo))
        tasks.append(_task("no_history", case.index, last_request(dialogue), case.photo))
        tasks.append(replace(_task("bypassed", case.index, direct, case.photo), bypass_alignment=True))
    # Photos of one shape have equally many image tokens, so they batch without padding.
    shapes = {case.photo.name: (case.photo.size[0] / case.photo.size[1], case.photo.name) for case in plan.cases}
    rank = {name: place for place, name in enumerate(sorted(shapes, key=lambda name: shapes[name]))}
    tasks.sort(
        key=lambda task: (
            rank[task.image_key] // BLOCK,
            task.bypass_alignment,
            len(task.dialogue.turns),
            rank[task.image_key],
        )
    )
    return tasks + _blank_tasks(plan)


def _task(part: str, index: int, dialogue: Dialogue, photo: Photo) -> Task:
    return Task(part, index, dialogue, image=photo.path, image_key=photo.name)


def _blank_tasks(plan: Plan) -> list[Task]:
    """The questions again, over images without content; blanks of one size are one image."""
    tasks = [
        Task("blank", place, asked.dialogue, blank_image(*asked.photo.size), "blank {}x{}".format(*asked.photo.size))
        for place, asked in enumerate(plan.asked)
    ]
    return sorted(tasks, key=lambda task: task.image_key)
