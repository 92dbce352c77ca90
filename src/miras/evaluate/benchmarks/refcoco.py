"""RefCOCO, RefCOCO+, RefCOCOg and RefCLEF as cases: every sentence of every ref is one question."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from miras import tokens
from miras.data.refcoco import IMAGES, PARTITIONS, Expression, Ref, load_refs
from miras.errors import ConfigError
from miras.evaluate.benchmarks.prompts import fill, template
from miras.evaluate.benchmarks.wanted import Drawn, Wanted
from miras.evaluate.cases import Case
from miras.types import Dialogue, Target, Turn

__all__ = ["SETS", "refcoco_cases"]

SETS = tuple(PARTITIONS)


def refcoco_cases(name: str, wanted: Wanted) -> Drawn:
    """The cases of one split, named `SPLIT` or `PARTITION:SPLIT`, as `val`, `testA`, `google:val`.

    As the field scores it, a sentence counts once, so a thing of three sentences counts three times. Sentences are
    asked in small letters. The mask is of all polygons of the thing; where none is drawn it is null.
    """
    partition, _, split = wanted.split.rpartition(":")
    partition = partition or PARTITIONS[name][0]
    if partition not in PARTITIONS[name]:
        raise ConfigError(f"{name} is cut into splits by {' or '.join(PARTITIONS[name])}, got {partition!r}")
    refs = load_refs(wanted.data, name, partition, split)
    words, counts = template(wanted.prompt), Counter[str]()
    images = wanted.images or _images(wanted.data, name)
    about: dict[str, Any] = {
        "benchmark": name,
        "split": f"{partition}:{split}",
        "suite": wanted.suite,
        "images": str(images.resolve()),
        "prompt": words,
        "answer": "the phrase and its mask, as a template",
        "counts": counts,
    }
    return Drawn(about, _cases(refs, words, counts))


def _images(data: Path, name: str) -> Path:
    folder = data / "refer_seg" if (data / "refer_seg" / name).is_dir() else data
    return folder / IMAGES[name]


def _cases(refs: Iterator[Ref], words: str, counts: Counter[str]) -> Iterator[Case]:
    for ref in refs:
        mask = ref.mask()
        counts.update(refs=1, sentences=len(ref.expressions), crowds=ref.crowd, without_mask=mask is None)
        made = partial(_case, ref, Target("", mask), words)
        yield from map(made, ref.expressions)


def _case(ref: Ref, target: Target, words: str, expression: Expression) -> Case:
    phrase = expression.text.strip().lower()
    turns = (Turn("user", fill(words, phrase)), Turn("assistant", f"It is {tokens.write(phrase)}."))
    named = Target(phrase, target.mask)
    dialogue = Dialogue(turns, (named,), image=ref.image, focus=phrase or None, kind="refcoco")
    return Case(f"{ref.id}-{expression.id}", dialogue, {"category": ref.category})
