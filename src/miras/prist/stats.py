"""What a PRIST data set holds: the counts of the paper's table 2 and its row of table 8, each with its definition.

Counts are added record by record, so that a set of any size can be described.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, get_args

from miras import tokens
from miras.data.masks import Granularity, area, granularity
from miras.prist.focus import category, read_focus

__all__ = ["Length", "Stats", "describe", "table2", "table8", "tokens_of"]

_TOKEN = re.compile(r"\w+|[^\w\s]")
_SIDE = 1024
"""Masks are compared on a canvas of 1024 x 1024 pixels (table 2)."""


@dataclass
class Length:
    """A sum and its largest part."""

    total: int = 0
    count: int = 0
    most: int = 0

    def add(self, value: int) -> None:
        """One more."""
        self.total += value
        self.count += 1
        self.most = max(self.most, value)

    @property
    def mean(self) -> float | None:
        """None of nothing."""
        return self.total / self.count if self.count else None


@dataclass
class Stats:
    """All counts of a data set."""

    images: set[str] = field(default_factory=set)
    samples: int = 0
    turns: Length = field(default_factory=Length)
    """Rounds of question and answer, the request for the mask among them."""
    words: Length = field(default_factory=Length)
    characters: Length = field(default_factory=Length)
    tokens: Length = field(default_factory=Length)
    question_words: Length = field(default_factory=Length)
    answer_words: Length = field(default_factory=Length)
    sizes: Counter[str] = field(default_factory=Counter)
    """Masks by granularity."""
    smallest: float | None = None
    """Area of the smallest mask in pixels of 1024 x 1024; None without masks."""
    focuses: Counter[str] = field(default_factory=Counter)
    categories: Counter[str | None] = field(default_factory=Counter)
    """Focuses by category; None counts those in none."""
    nouns: Counter[str] = field(default_factory=Counter)
    adjectives: Counter[str] = field(default_factory=Counter)
    prepositions: Counter[str] = field(default_factory=Counter)

    @property
    def utterances(self) -> int:
        """Rounds without the last one, which is how the paper comes to 24k."""
        return self.turns.total - self.samples

    @property
    def masks(self) -> int:
        """Records with a mask."""
        return self.sizes.total()


def tokens_of(text: str) -> int:
    """Words and punctuation marks: what is counted where no tokenizer is given."""
    return len(_TOKEN.findall(text))


def describe(records: Iterable[dict[str, Any]], *, count_tokens: Callable[[str], int] = tokens_of) -> Stats:
    """The counts of all records, which must be without `problems`.

    Lengths of a dialogue are of all its turns, without `[SEG]`; those of a question and of an answer leave out the last
    round.
    """
    stats = Stats()
    for record in records:
        said = [turn["value"].replace(tokens.SEG, "").strip() for turn in record["dialogue"]]
        stats.images.add(record["img_id"])
        stats.samples += 1
        stats.turns.add(len(said) // 2)
        stats.words.add(sum(len(text.split()) for text in said))
        stats.characters.add(sum(map(len, said)))
        stats.tokens.add(sum(map(count_tokens, said)))
        for place, text in enumerate(said[:-2]):
            (stats.answer_words if place % 2 else stats.question_words).add(len(text.split()))
        _describe_focus(record["focus"], stats)
        if (mask := record.get("mask")) is not None:
            height, width = mask["size"]
            share = area(mask) / (height * width)
            stats.sizes[granularity(share)] += 1
            pixels = share * _SIDE**2
            stats.smallest = pixels if stats.smallest is None else min(stats.smallest, pixels)
    return stats


def _describe_focus(focus: str, stats: Stats) -> None:
    read = read_focus(focus)
    stats.focuses[" ".join(focus.lower().split())] += 1
    stats.categories[category(focus)] += 1
    stats.nouns.update([read.noun] if read.noun else [])
    stats.adjectives.update(read.adjectives)
    stats.prepositions.update(read.prepositions)


def table2(stats: Stats, token: str) -> list[tuple[str, str, str]]:
    """Rows of the paper's table 2: (what, this data set, the paper's); `token` names what a token is."""
    return [
        ("Images", f"{len(stats.images):,}", "2,800"),
        ("Samples", f"{stats.samples:,}", "8,320"),
        ("Focus categories (of 12)", str(len([name for name in stats.categories if name])), "12"),
        ("Focuses in no category", f"{stats.categories[None]:,}", ""),
        ("Different focuses", f"{len(stats.focuses):,}", ""),
        ("Samples with a mask", f"{stats.masks:,}", "8,320"),
        ("Coarse : medium : fine", _spread(stats), "22 % : 25 % : 53 %"),
        ("Smallest mask in pixels of 1024 x 1024", _figure(stats.smallest, 0), "304"),
        ("Utterances: rounds without the last", f"{stats.utterances:,}", "24k"),
        ("Turns: all rounds, average / most", _length(stats.turns, 2), "4 / 7"),
        ("Dialogue in words, average / most", _length(stats.words), ""),
        ("Dialogue in characters, average / most", _length(stats.characters), "477.6 / 518, there called tokens"),
        (f"Dialogue in tokens ({token}), average / most", _length(stats.tokens), ""),
        ("Words of a question, average / most", _length(stats.question_words), ""),
        ("Words of an answer, average / most", _length(stats.answer_words), ""),
    ]


def table8(stats: Stats, name: str) -> list[tuple[str, ...]]:
    """The header and the row of the paper's table 8, its own row below for comparison."""
    header = ("Benchmark", "#Img.", "#Reg.", "#Samp.", "Caption", "Conversation", "Segmentation", "Reasoning", "#Step")
    multi = "single and multi" if stats.turns.most > 1 else "single"
    marked = "pixel" if stats.masks else "none"
    row = (
        name, f"{len(stats.images):,}", f"{stats.masks:,}", f"{stats.samples:,}", "no", multi, marked, "yes",
        _figure(stats.turns.mean, 1),
    )  # fmt: skip
    return [header, row, ("PRIST (paper)", "2.8K", "8.3K", "8.3K", "yes", "single and multi", "pixel", "yes", "4.0")]


def _spread(stats: Stats) -> str:
    if not stats.masks:
        return "no masks"
    names = reversed(get_args(Granularity))
    return " : ".join(f"{stats.sizes[name] / stats.masks:.0%}".replace("%", " %") for name in names)


def _length(length: Length, digits: int = 1) -> str:
    return f"{_figure(length.mean, digits)} / {length.most}" if length.count else "none"


def _figure(value: float | None, digits: int) -> str:
    return "none" if value is None else f"{value:,.{digits}f}"
