"""The data card of a data set, as the Hugging Face hub reads it: what it is, how it was made, counts, licences."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from miras.prist.description import as_markdown
from miras.prist.stats import Stats

__all__ = ["as_card", "licences"]


def licences(records: Iterable[dict[str, Any]]) -> Counter[str]:
    """Licence that a record states → how many do; `none stated` where it states none."""
    return Counter(str(record.get("license") or "none stated") for record in records)


def as_card(stats: Stats, name: str, token: str, stated: Mapping[str, int], made: Mapping[str, Any] | None) -> str:
    """The card in Markdown. `made` is the report of `miras generate`; None says that how it was made is not known."""
    front = yaml.safe_dump(
        {
            "pretty_name": name,
            "license": next(iter(stated)).lower() if len(stated) == 1 else "other",
            "task_categories": ["image-segmentation", "visual-question-answering"],
            "language": ["en"],
            "size_categories": [_size(stats.samples)],
        },
        sort_keys=False,
    )
    terms = "\n".join(
        f"| {licence} | {count:,} |" for licence, count in sorted(stated.items(), key=lambda one: -one[1])
    )
    head, _, counts = as_markdown(stats, name, token).partition("\n\n")
    return f"""---
{front}---

{head}

Multi-turn conversations about images in the PRIST format: the person asks, round by round, until the last request,
which does not name what is meant; the last answer stands for its mask. `focus` says what is meant, in words.
{stats.masks:,} of the {stats.samples:,} conversations have a mask, as COCO run lengths in the pixels of the image.

## How it was made

{_made(made)}

## Licences that the records state

| licence | conversations |
| --- | --- |
{terms}

{counts}"""


def _size(samples: int) -> str:
    """The hub's name for a number of samples."""
    bounds = (("n<1K", 1e3), ("1K<n<10K", 1e4), ("10K<n<100K", 1e5), ("100K<n<1M", 1e6), ("1M<n<10M", 1e7))
    return next((name for name, bound in bounds if samples < bound), "10M<n<100M")


def _made(made: Mapping[str, Any] | None) -> str:
    if made is None:
        return "Not said: no report of `miras generate` was given."
    rejected = sum(made["rejected"].values())
    reasons = "".join(f"\n- {count:,} at {rule}" for rule, count in made["rejected"].items())
    prompts = f" Its prompts have the fingerprint {made['prompts']}." if made.get("prompts") else ""
    return (
        f"By `miras generate` with the teacher `{made['teacher']}` and seed {made['seed']}, from {made['images']:,} "
        f"images.{prompts} {rejected:,} wanted conversations were rejected.{reasons}"
    )
