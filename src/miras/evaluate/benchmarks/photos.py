"""The photo protocol's requests and conversations as cases, drawn from the same seed, so word for word the same."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from miras.data.photos import load_photos
from miras.evaluate.benchmarks.wanted import Drawn, Wanted
from miras.evaluate.cases import Case
from miras.evaluate.photos.plan import make_plan
from miras.evaluate.photos.targets import PhotoCase
from miras.types import Dialogue

__all__ = ["photos_cases"]


def photos_cases(name: str, wanted: Wanted) -> Drawn:
    """The suite `direct` (each target asked for once) or `multi_turn` (conversations); ids are rows of the split."""
    plan = make_plan(load_photos(wanted.data, wanted.split), seed=wanted.seed, limit=wanted.limit)
    chosen, dialogues = (plan.cases, plan.direct) if wanted.suite == "direct" else (plan.conversing, plan.conversations)
    root = (wanted.images or wanted.data).resolve()
    counts = Counter[str](targets=len(plan.cases), conversations_possible=plan.possible)
    about: dict[str, Any] = {
        "benchmark": name,
        "split": wanted.split,
        "suite": wanted.suite,
        "images": str(root),
        "prompt": "drawn by the seed from the project's phrasing",
        "answer": "drawn by the seed, the class and its mask",
        "seed": wanted.seed,
        "limit": wanted.limit,
        "counts": counts,
    }
    return Drawn(about, (_case(one, dialogues[one.index], wanted.data) for one in chosen))


def _case(case: PhotoCase, dialogue: Dialogue, data: Path) -> Case:
    labels = {
        "category": case.target.class_name,
        "source": case.labels["by_source"],
        "parts": case.labels["parts"],
    }
    image = case.photo.path.relative_to(data).as_posix()
    return Case(str(case.index), replace(dialogue, image=image, focus=dialogue.focus or case.target.phrase), labels)
