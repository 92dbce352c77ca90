"""The synonyms of English words, from WordNet 3.0 (Princeton University), which comes with the package.

METEOR asks one thing of WordNet: the words that share a synset with a given word. `wordnet/` holds just that, as
plain text: in `noun.txt` and its like one line per synset, its words as WordNet spells them, and in `noun.exc` the
irregular forms. A synset in which every lemma has several words can give METEOR nothing and is left out, as are
glosses and relations. Nothing is fetched or unpacked, and NLTK_DATA plays no part.

The tables were made from the files of Princeton's WNdb-3.0 by `python -m miras.metrics.wordnet DICT OUT`.
"""

import sys
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

from miras.errors import DataError
from miras.files import write_text

__all__ = ["Lemma", "Synonyms", "Synset", "extract", "synonyms"]

_ENDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "noun": (
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "verb": (
        ("s", ""),
        ("ies", "y"),
        ("es", "e"),
        ("es", ""),
        ("ed", "e"),
        ("ed", ""),
        ("ing", "e"),
        ("ing", ""),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}
"""What WordNet takes off inflected words of each part of speech, and what it puts there instead (its morph(7))."""


@dataclass(frozen=True)
class Lemma:
    """One word of a synset, as nltk's METEOR reads it."""

    word: str

    def name(self) -> str:
        """The word as WordNet spells it."""
        return self.word


@dataclass(frozen=True)
class Synset:
    """Words of one meaning, as nltk's METEOR reads them."""

    words: frozenset[str]

    def lemmas(self) -> list[Lemma]:
        """One lemma per word."""
        return [Lemma(word) for word in self.words]


class Synonyms:
    """What nltk's METEOR takes as its `wordnet`."""

    def synsets(self, word: str) -> list[Synset]:
        """The synonyms of a word as one synset, none where WordNet does not know the word."""
        known = synonyms(word)
        return [Synset(known)] if known else []


@lru_cache(maxsize=65536)
def synonyms(word: str) -> frozenset[str]:
    """Single words that share a synset with a word or with a form that it may be an inflection of.

    The word is one of them where WordNet has it; case is that of WordNet (`Paris`). Empty for an unknown word.
    """
    word = word.lower()
    found: set[str] = set()
    for part, endings in _ENDINGS.items():
        synsets, irregular = _table(part)
        stems = (word[: -len(old)] + new for old, new in endings if word.endswith(old))
        for form in (word, *irregular.get(word, stems)):
            for words in synsets.get(form, ()):
                found.update(words)
    return frozenset(found)


@cache
def _table(part: str) -> tuple[dict[str, list[tuple[str, ...]]], dict[str, tuple[str, ...]]]:
    """Of one part of speech, the single words of the synsets of each lemma, and the base forms of irregular words."""
    folder = files("miras.metrics") / "wordnet"
    synsets: dict[str, list[tuple[str, ...]]] = {}
    for line in (folder / f"{part}.txt").read_text(encoding="ascii").splitlines():
        lemmas = line.split()
        words = tuple(lemma for lemma in lemmas if "_" not in lemma)
        for lemma in lemmas:
            synsets.setdefault(lemma.lower(), []).append(words)
    lines = (line.split() for line in (folder / f"{part}.exc").read_text(encoding="ascii").splitlines())
    return synsets, {word: tuple(bases) for word, *bases in lines}


def extract(source: Path, out: Path) -> None:
    """Writes the tables that this module reads into `out`, from a folder with WordNet's own data.* and *.exc files.

    Raises DataError when a file is missing or is not one of WordNet's.
    """
    for part in _ENDINGS:
        try:
            lines = (source / f"data.{part}").read_text(encoding="ascii").splitlines()
            exceptions = (source / f"{part}.exc").read_text(encoding="ascii")
            synsets = {_lemmas(line) for line in lines if not line.startswith(" ")}  # a blank opens the notice's lines
        except (OSError, ValueError, IndexError) as error:
            raise DataError(
                f"{source} should hold data.{part} and {part}.exc of WordNet 3.0 ({error}); name its folder dict/"
            ) from error
        kept = sorted(" ".join(lemmas) for lemmas in synsets if any("_" not in lemma for lemma in lemmas))
        write_text(out / f"{part}.txt", "".join(f"{line}\n" for line in kept))
        write_text(out / f"{part}.exc", exceptions)


def _lemmas(line: str) -> tuple[str, ...]:
    """The lemmas of a line of data.*: `offset file type count lemma id lemma id …`, the count in hexadecimal."""
    fields = line.split("|")[0].split()
    count = int(fields[3], 16)
    return tuple(fields[4 + 2 * i].split("(")[0] for i in range(count))  # without markers such as (p)


if __name__ == "__main__":
    extract(Path(sys.argv[1]), Path(sys.argv[2]))
