"""Conversations given out to people, the answers left out: a page for each expert, and the cases that were drawn.

The folder holds `cases.jsonl` with the true answers, which stays where it is, and `send/expert-1.html`, …, each a page
that works offline by itself (paper, appendix C.4.3).
"""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from miras.errors import DataError
from miras.evaluate.cases import Case, Cases, read_cases, write_cases
from miras.evaluate.judge.human.page import expert_page
from miras.evaluate.judge.talks import Talk, true_talks
from miras.evaluate.runs import CASES
from miras.files import made_beside, write_text
from miras.llm.pictures import LONGEST, sent

__all__ = ["PAGES", "expert_name", "export"]

PAGES = "send"
"""Folder of what is given out."""


def expert_name(number: int) -> str:
    """`expert 1`, …"""
    return f"expert {number}"


def export(
    cases_path: Path,
    out: Path,
    *,
    experts: int = 3,
    count: int = 100,
    seed: int = 0,
    images: Path | None = None,
    longest: int = LONGEST,
    tell: Callable[[], None] = lambda: None,
) -> list[Talk]:
    """Draws so many conversations of several rounds by the seed, the same for all experts, and returns them.

    `tell` is called after each. Raises DataError when there are too few of them, when an image is missing or cannot be
    read, or when `out` holds something; then nothing is written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} already holds something; name a new folder")
    cases = read_cases(cases_path)
    chosen = _drawn(cases, count, seed, cases_path)
    drawn = Cases(cases.about, chosen, cases.sha256)
    talks = true_talks(drawn, images)
    shown: list[dict[str, Any]] = []
    for talk in talks:
        uri = None if talk.image is None else sent(talk.image, longest).uri
        shown.append({"id": talk.id, "image": uri, "questions": [question for question, _ in talk.rounds]})
        tell()
    about = {**cases.about, "drawn_from_sha256": cases.sha256, "drawn_by_seed": seed}
    if images is not None:
        about["images"] = str(images.resolve())
    with made_beside(out, replacing=[]) as folder:
        write_cases(folder / CASES, about, chosen)
        digest = hashlib.sha256((folder / CASES).read_bytes()).hexdigest()
        for number in range(1, experts + 1):
            name = expert_name(number)
            write_text(folder / PAGES / f"{name.replace(' ', '-')}.html", expert_page(name, digest, shown))
    return talks


def _drawn(cases: Cases, count: int, seed: int, path: Path) -> tuple[Case, ...]:
    several = [case for case in cases if len(case.dialogue.questions) > 1]
    if len(several) < count:
        raise DataError(f"{count} conversations of several rounds are wanted, {path} has {len(several)}; ask for fewer")
    return tuple(several[place] for place in sorted(random.Random(seed).sample(range(len(several)), count)))
