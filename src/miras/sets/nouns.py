"""How a region is spoken of: its name with an article or a number that is true of it."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from miras.data.facts import fact
from miras.data.phrasing import pick, plural
from miras.sets.scene import Region

__all__ = ["absent_slots", "is_plural", "region_slots", "said_slots"]

_SINGULAR = ("ss", "us", "is", "as")
_EXCEPT = {"skis", "taxis", "pyjamas", "pajamas", "cds", "tvs", "dvds"}
_ONE = {"lens", "tennis", "chess", "gallows", "series"}
_MASS = {"clothes", "clothing", "food", "furniture"}

_DETERMINED = {
    "a", "an", "the", "this", "that", "these", "those", "his", "her", "its", "their", "my", "your", "our", "all", "any",
    "both", "every", "each", "some", "one", "no", "another", "what", "which",
}  # fmt: skip
_OTHER = {
    "on", "in", "at", "with", "without", "near", "by", "behind", "to", "under", "above", "below", "over", "next",
    "between", "from", "of", "for", "against", "inside", "is", "are", "was", "has", "have", "can", "he", "she", "it",
    "they", "i", "you", "we", "someone", "somebody", "something", "anyone", "everyone", "everything", "whoever", "who",
    "where", "whatever", "wearing", "holding", "standing", "sitting", "looking", "facing", "there", "just", "not",
}  # fmt: skip
"""First words that take no article, or with which nobody knows."""


def is_plural(name: str) -> bool:
    """Whether a class name is a plural as it stands: `stairs`, `skis`, `sunglasses`."""
    last = name.lower().split()[-1]
    if last in _ONE or last in _MASS:
        return last == "clothes"
    looks = last.endswith("s") and not last.endswith(_SINGULAR)
    return looks or last in _EXCEPT or last == "people" or fact(name).plural


def region_slots(region: Region, rng: np.random.Generator) -> Mapping[str, str]:
    """`name`, which goes into `[OBJ]{name}[SEG]`, and `the`, the name as a request holds it.

    A part is the `ear of the dog` or the `dog ear`. Of a countable class whose number is not known, both `the dog` and
    `every dog` are said, by chance.
    """
    name = region.names[0].strip().lower()
    if region.kind == "part" and region.whole:
        whole = region.whole.strip().lower()
        name = f"{name} of the {whole}" if rng.random() < 0.5 else f"{whole} {name}"
    the = [f"the {name}"]
    if region.kind == "thing" and not is_plural(name) and not fact(name).mass:
        if region.count is None:
            the.append(f"every {name}")
        elif region.count > 1:
            the = [f"every {name}", f"all the {plural(name)}", f"the {plural(name)}"]
    return MappingProxyType({"name": name, "the": pick(rng, the)})


def absent_slots(name: str) -> Mapping[str, str]:
    """The slots of a request for a class that is not there and of its refusal."""
    name = name.strip().lower()
    be = "are" if is_plural(name) else "is"
    return MappingProxyType({
        "name": name,
        "the": f"the {name}",
        "any": f"any {name}",
        "no": f"no {name}",
        "there_is_no": f"there {be} no {name}",
    })  # fmt: skip


def said_slots(said: str) -> Mapping[str, str]:
    """The slots of what people said of a thing; without `the` where its words take no article."""
    said = " ".join(said.split()).rstrip(".,;:!? ").replace('"', "'")
    first = said.split()[0].lower().strip("',")
    if first in _DETERMINED:
        return MappingProxyType({"said": said, "name": said, "the": said[0].lower() + said[1:]})
    if first in _OTHER or "," in said:
        return MappingProxyType({"said": said, "name": said})
    return MappingProxyType({"said": said, "name": said, "the": f"the {said}"})
