"""A user's own JSONL as cases: its phrases asked for one by one, and its conversations held as they are."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from miras import tokens
from miras.data.masks import encode
from miras.errors import DataError
from miras.evaluate.benchmarks.prompts import fill, template
from miras.evaluate.benchmarks.wanted import Drawn, Wanted
from miras.evaluate.cases import Case
from miras.sets.own import Own, read_own
from miras.types import Dialogue, Target, Turn

__all__ = ["own_cases"]


def own_cases(name: str, wanted: Wanted) -> Drawn:
    """Every phrase and every conversation of a JSONL, or of `{split}.jsonl` in a folder (`miras.sets.own`).

    A phrase is its own category. Ids count images, and then phrases, from 1. Raises DataError for broken lines.
    """
    path = wanted.data / f"{wanted.split}.jsonl" if wanted.data.is_dir() else wanted.data
    if wanted.images is not None or wanted.masks is not None:
        raise DataError(f"{path} names its images and masks itself; leave --images and --masks out")
    words, counts = template(wanted.prompt), Counter[str]()
    about: dict[str, Any] = {
        "benchmark": name,
        "split": path.stem,
        "suite": wanted.suite,
        "images": str(path.parent.resolve()),
        "prompt": words,
        "answer": "the phrase and its mask, as a template; of conversations their own",
        "counts": counts,
    }
    return Drawn(about, _cases(read_own(path), path.parent, words, counts))


def _cases(own: Own, folder: Path, words: str, counts: Counter[str]) -> Iterator[Case]:
    for item in range(len(own.regions)):
        scene = own.regions.scene(item)
        image = scene.image.relative_to(folder).as_posix()
        for place, region in enumerate(scene.regions):
            phrase = region.names[0]
            counts.update(phrases=1)
            turns = (Turn("user", fill(words, phrase)), Turn("assistant", f"It is {tokens.write(phrase)}."))
            target = Target(phrase, encode(region.draw()))
            dialogue = Dialogue(turns, (target,), image=image, focus=phrase, kind="own")
            yield Case(f"{item + 1}-{place + 1}", dialogue, {"category": phrase})
    for item in range(len(own.talks)):
        told = own.talks.told(item)
        counts.update(conversations=1)
        [dialogue] = told.dialogues
        yield Case(
            f"talk-{item + 1}", replace(dialogue, focus=dialogue.targets[-1].phrase if dialogue.targets else None)
        )
