"""General knowledge about classes: kind, use, whole and usual place, from the tables in `facts/`.

A class without an entry shares the facts of its category (`facts/cutouts.yaml`) or of its head noun; every
other name is `any thing`. Tables are read once, on first use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import yaml

from miras.errors import ConfigError

__all__ = ["Fact", "fact", "known_classes", "related"]

_ANY = "any thing"
_FIELDS = {"kind", "clues", "where", "scene", "sort", "whole", "implies", "plural", "mass", "colorless", "standalone"}


@dataclass(frozen=True)
class Fact:
    """What is true of every thing of a class. No text holds the name of the class."""

    name: str
    group: str
    """Classes of one group are told apart by their clues; `any …` groups share them."""
    sort: str
    """A noun for it that gives nothing away: `car part`."""
    kind: str
    """Its hypernym with an article: `a panel of the body that opens`."""
    clues: tuple[str, ...]
    """Uses and marks, each of which completes `the one that …`."""
    where: str
    """Its usual place: `at the back, above the trunk`."""
    scene: tuple[str, ...]
    """What a photo that holds it shows, at least."""
    whole: str | None = None
    """The larger thing it belongs to: `the car`."""
    implies: frozenset[str] = frozenset()
    """Classes that are in the photo whenever it is."""
    alike: frozenset[str] = frozenset()
    """Classes that its clues could also describe."""
    plural: bool = False
    mass: bool = False
    colorless: bool = False
    """Whether its annotated colour says nothing about it, as with people."""
    generic: bool = False
    """Whether the facts are those of a whole category."""


@lru_cache(maxsize=4096)
def fact(class_name: str) -> Fact:
    """The facts of a class: its own, its category's, its head noun's, or those of any thing."""
    table = _table()
    for name in (class_name, class_name.lower(), class_name.split()[-1].lower()):
        if name in table:
            return replace(table[name], name=class_name)
    return replace(table[_ANY], name=class_name)


def known_classes() -> frozenset[str]:
    """Classes with facts of their own."""
    return frozenset(name for name, entry in _table().items() if not entry.generic)


@lru_cache(maxsize=65536)
def related(first: str, second: str) -> bool:
    """True when one name may imply the other: `cat` and `Bengal cat`, `bag` and `handbag`, `person` and `hair`."""
    one, other = fact(first), fact(second)
    words, others = set(first.lower().split()), set(second.lower().split())
    compound = first.lower().endswith(second.lower()) or second.lower().endswith(first.lower())
    knowledge = second in one.alike | one.implies or first in other.alike | other.implies
    whole = f"the {second}" == one.whole or f"the {first}" == other.whole
    shared = one.generic and other.generic and one.group == other.group
    return words <= others or others <= words or compound or knowledge or whole or shared


@cache
def _table() -> Mapping[str, Fact]:
    table: dict[str, Fact] = {}
    alike: dict[str, set[str]] = {}
    folder = files("miras.data") / "facts"
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not path.name.endswith(".yaml"):
            continue
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group, entry in content["groups"].items():
            table.update(_group(group, entry, path.name))
        for names in content.get("alike", ()):
            for name in names:
                alike.setdefault(name, set()).update(set(names) - {name})
    return {name: replace(known, alike=known.alike | alike.get(name, set())) for name, known in table.items()}


def _group(group: str, entry: Mapping[str, Any], where: str) -> dict[str, Fact]:
    shared = {key: value for key, value in entry.items() if key not in ("classes", "names")}
    table = {name: _fact(name, group, {**shared, **own}, where) for name, own in entry.get("classes", {}).items()}
    if "names" in entry:
        names = [*entry["names"], group]
        generic = replace(_fact(group, group, shared, where), generic=True)
        table |= {name.lower(): replace(generic, name=name, plural=_looks_plural(name)) for name in names}
    return table


def _looks_plural(name: str) -> bool:
    head = name.lower().split()[-1]
    return head.endswith("s") and not head.endswith(("ss", "us", "is", "as"))


def _fact(name: str, group: str, entry: Mapping[str, Any], where: str) -> Fact:
    unknown, missing = set(entry) - _FIELDS, {"kind", "clues", "where", "scene", "sort"} - set(entry)
    if unknown or missing or len(entry["clues"]) < 2:
        raise ConfigError(
            f"facts/{where}: {name} needs {sorted(_FIELDS)} with two clues or more, got unknown {sorted(unknown)}, "
            f"missing {sorted(missing)}; correct the entry"
        )
    return Fact(
        name=name,
        group=group,
        sort=entry["sort"],
        kind=entry["kind"],
        clues=tuple(entry["clues"]),
        where=entry["where"],
        scene=tuple(entry["scene"]),
        whole=None if entry.get("standalone") else entry.get("whole"),
        implies=frozenset(entry.get("implies", ())),
        plural=entry.get("plural", False),
        mass=entry.get("mass", False),
        colorless=entry.get("colorless", False),
    )
