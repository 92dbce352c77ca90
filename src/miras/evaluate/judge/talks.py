"""Conversations as a judge reads them: the given questions, a model's answers, and the image where there is one."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from miras import tokens
from miras.errors import DataError
from miras.evaluate.cases import Case, Cases
from miras.evaluate.predictions import Predictions

__all__ = ["Talk", "as_read", "talks", "true_talks"]

_NAMED = re.compile(r"\[OBJ\]((?:(?!\[OBJ\]|\[SEG\]).)*)\[SEG\]", re.DOTALL)
_UNNAMED = "(a marked region)"


@dataclass(frozen=True)
class Talk:
    """One conversation, and what it was to lead to."""

    id: str
    rounds: tuple[tuple[str, str], ...]
    """(question, answer) of each round, both as people read them."""
    goal: str | None
    """What it is about, in words; None where the benchmark does not say."""
    group: str
    """Its image, or itself where it has none: conversations about one image are not independent."""
    image: Path | None = None
    """What the judge is shown; None where it must do without."""

    @property
    def listed(self) -> str:
        """One round per line, as JSON: no answer can pass for a round or for an instruction."""
        return "\n".join(
            json.dumps({"round": number, "person": question, "assistant": answer}, ensure_ascii=False)
            for number, (question, answer) in enumerate(self.rounds, 1)
        )

    @property
    def answers(self) -> tuple[str, ...]:
        """What is judged."""
        return tuple(answer for _, answer in self.rounds)

    @property
    def words(self) -> int:
        """Number of words of all answers."""
        return sum(len(answer.split()) for answer in self.answers)


def as_read(text: str) -> str:
    """An answer as people read it: `[OBJ]phrase[SEG]` is its phrase, a `[SEG]` without words a marked region."""
    named = _NAMED.sub(lambda match: match[1].strip() or _UNNAMED, text)
    return " ".join(tokens.strip(named.replace(tokens.SEG, _UNNAMED)).split())


def talks(
    cases: Cases, predictions: Predictions, images: Path | None = None, *, show_images: bool = True
) -> list[Talk]:
    """The conversations that a model held, in the order of the cases.

    Images are looked for in `images`, or in the folder that the cases name. Raises DataError for one that is not there.
    """
    said = [[said.text for said in answered.turns] for answered in predictions]
    return list(_talks(cases, said, images if show_images else None, show_images))


def true_talks(cases: Cases, images: Path | None = None, *, show_images: bool = True) -> list[Talk]:
    """The same with the true answers of the cases."""
    return list(_talks(cases, [case.dialogue.answers for case in cases], images, show_images))


def _talks(cases: Cases, said: Sequence[Sequence[str]], images: Path | None, show_images: bool) -> Iterator[Talk]:
    for case, answers in zip(cases, said, strict=True):
        rounds = tuple(
            (as_read(question), as_read(answer))
            for question, answer in zip(case.dialogue.questions, answers, strict=True)
        )
        image = _found(cases, case, images) if show_images else None
        yield Talk(case.id, rounds, case.dialogue.focus, case.image or f"no image: {case.id}", image)


def _found(cases: Cases, case: Case, images: Path | None) -> Path | None:
    path = cases.image_path(case, images)
    if path is not None and not path.is_file():
        raise DataError(
            f"no image at {path}, which case {case.id!r} is about; name the folder by --images, or judge by the words "
            "alone with --no-show-images"
        )
    return path
