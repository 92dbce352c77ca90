"""What annotators change in dialogues: each change by its turn, the difference as text, and whether it is taken.

Both annotators read every dialogue. What both leave is left, what both change in the same words is taken, and what
only one changes, or both otherwise, is decided by the resolver or the reviewer, who change it or say `"looked": true`.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from miras.annotate.collect import Work
from miras.annotate.plan import Group, Record

__all__ = ["TEXT_RULES", "Change", "TextDecision", "TextRule", "changes", "decide_texts", "difference"]

TextRule = Literal["unchanged", "both", "resolver", "reviewer", "missing", "one alone", "two ways"]

TEXT_RULES: Mapping[TextRule, tuple[bool, str]] = {
    "unchanged": (True, "neither annotator changed a word: it stays"),
    "both": (True, "both changed it to the same words: taken"),
    "resolver": (True, "the resolver looked at it: the resolver's words are taken"),
    "reviewer": (True, "the reviewer looked at it: the reviewer's words are taken"),
    "missing": (False, "the text of one annotator did not come back or cannot be read: a person decides"),
    "one alone": (False, "one annotator changed it and the other did not: a person decides"),
    "two ways": (False, "both changed it, to other words: a person decides"),
}
"""Rule → whether it settles the dialogue, and what it says."""


@dataclass(frozen=True)
class Change:
    """One text that a person changed."""

    person: str
    where: str
    """`focus` or `turn N`, N from 0; `dialogue` where turns were added or taken out."""
    before: str
    after: str


@dataclass(frozen=True)
class TextDecision:
    """What becomes of the dialogue of one record."""

    number: int
    """Place of the record in the file that was given out."""
    rule: TextRule
    record: Record
    """The record with the text that is taken; as it was given out where nothing is settled."""
    changes: tuple[Change, ...] = ()
    """What the annotators and, where they looked, the resolver and the reviewer changed."""
    differences: Mapping[str, str] | None = None
    """Person → unified diff from the record that was given out."""

    @property
    def settled(self) -> bool:
        """Whether no person needs to look at it."""
        return TEXT_RULES[self.rule][0]


def decide_texts(group: Group, numbers: Sequence[int], records: Sequence[Record], works: Mapping[str, Work],
                 reviewer: str) -> list[TextDecision]:  # fmt: skip
    """What becomes of the dialogues of a group's records; `works` is by person, both annotators among them."""
    return [_decide(group, number, records[number], works, reviewer) for number in numbers]


def _decide(group: Group, number: int, original: Record, works: Mapping[str, Work], reviewer: str) -> TextDecision:
    first, second = group.annotators
    versions = {name: works[name].records[number] for name in (first, second) if number in works[name].records}
    looked = [name for name in (reviewer, group.resolver) if name in works and number in works[name].looked]
    versions.update({name: works[name].records[number] for name in looked})
    made = {name: changes(original, version, name) for name, version in versions.items()}
    if looked:
        rule: TextRule = "reviewer" if looked[0] == reviewer else "resolver"
        taken = versions[looked[0]]
    elif len(versions) < 2:
        rule, taken = "missing", original
    elif not any(made.values()):
        rule, taken = "unchanged", original
    elif not changes(versions[first], versions[second], ""):
        rule, taken = "both", versions[first]
    else:
        rule, taken = "two ways" if all(made.values()) else "one alone", original
    if not changes(original, taken, ""):
        taken = original  # white space alone is no correction
    return TextDecision(
        number,
        rule,
        taken,
        tuple(change for found in made.values() for change in found),
        {name: difference(original, versions[name], f"record {number}", name) for name, found in made.items() if found},
    )


def changes(before: Record, after: Record, person: str) -> tuple[Change, ...]:
    """Every text that differs between two versions of a record in more than white space."""
    old, new = _texts(before), _texts(after)
    if old.keys() != new.keys():
        return (Change(person, "dialogue", "\n".join(_lines(before)), "\n".join(_lines(after))),)
    return tuple(
        Change(person, where, text, new[where]) for where, text in old.items() if text.split() != new[where].split()
    )


def difference(before: Record, after: Record, name: str, person: str) -> str:
    """A unified diff of two versions of a record, a line per turn or line of a turn."""
    found = difflib.unified_diff(_lines(before), _lines(after), name, f"{name}, {person}", lineterm="")
    return "\n".join(found)


def _texts(record: Mapping[str, Any]) -> dict[str, str]:
    return {"focus": record["focus"], **{f"turn {n}": turn["value"] for n, turn in enumerate(record["dialogue"])}}


def _lines(record: Mapping[str, Any]) -> list[str]:
    turns = [f"{turn['from']}: {turn['value']}" for turn in record["dialogue"]]
    return [line for text in (f"focus: {record['focus']}", *turns) for line in text.splitlines()]
