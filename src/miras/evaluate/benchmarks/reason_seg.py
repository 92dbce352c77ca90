"""ReasonSeg as cases: one question for each image, the first of its wordings, as it is officially scored."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from miras import tokens
from miras.data.masks import encode
from miras.data.reason_seg import Reasoned, load_reason_seg
from miras.evaluate.benchmarks.prompts import fill, sentence_prompt, template
from miras.evaluate.benchmarks.wanted import Drawn, Wanted
from miras.evaluate.cases import Case
from miras.types import Dialogue, Target, Turn

__all__ = ["reason_seg_cases"]


def reason_seg_cases(name: str, wanted: Wanted) -> Drawn:
    """The cases of train, val or test. Strata by `query`: short (a phrase) and long (a sentence)."""
    found = load_reason_seg(wanted.data, wanted.split)
    words = {False: template(wanted.prompt), True: sentence_prompt(wanted.prompt)}
    counts = Counter[str]()
    first = next(found)
    about: dict[str, Any] = {
        "benchmark": name,
        "split": wanted.split,
        "suite": wanted.suite,
        "images": str((wanted.images or first.image.parent).resolve()),
        "prompt": {"short": words[False], "long": words[True]},
        "answer": "the mask alone, as a template",
        "counts": counts,
    }
    return Drawn(about, _cases(first, found, words, counts))


def _cases(first: Reasoned, others: Iterator[Reasoned], words: dict[bool, str], counts: Counter[str]) -> Iterator[Case]:
    for one in (first, *others):
        asked = one.texts[0].strip()
        ignored = encode(one.ignored) if one.ignored.any() else None
        counts.update(images=1, further_texts=len(one.texts) - 1, ignored_regions=ignored is not None)
        counts.update(empty_masks=not one.target.any())
        turns = (Turn("user", fill(words[one.is_sentence], asked)), Turn("assistant", f"It is {tokens.SEG}."))
        target = Target("" if one.is_sentence else asked, encode(one.target), ignore=ignored)
        dialogue = Dialogue(turns, (target,), image=one.image.name, focus=asked, kind="reason_seg")
        query = "long" if one.is_sentence else "short"
        yield Case(one.name, dialogue, {"query": query})
