"""WordNet's synonyms: against nltk's own reader, and tables made from files of WordNet's form."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from miras.errors import DataError
from miras.metrics import wordnet
from miras.metrics.wordnet import Synonyms, extract, synonyms

FOLDER = Path(wordnet.__file__).parent / "wordnet"
NLTK_SAYS = "b1c2c95fef00d465873305edbf7e10ba921e978b091b6452163c3ee9dae0cdbe"
"""What `digest` gives with nltk 3.10.4's reader over the whole of Princeton's WordNet 3.0."""


def some_words() -> list[str]:
    """Every eleventh lemma and irregular form of the tables, as it is and inflected in all the regular ways."""
    known = {word.lower() for path in FOLDER.glob("*.???") for word in path.read_text(encoding="ascii").split()}
    words = sorted(known)[::11]
    ends = ("", "s", "es", "ed", "ing", "er", "est", "men")
    return [word + end for word in words for end in ends] + [word[:-1] + "ies" for word in words]


def digest(asked: Callable[[str], frozenset[str]]) -> str:
    lines = (f"{word}: {' '.join(sorted(asked(word)))}\n" for word in some_words())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_some_words() -> None:
    assert synonyms("cars") == {"car", "auto", "automobile", "machine", "motorcar", "railcar", "gondola"}
    assert "mouse" in synonyms("mice") and "mice" not in synonyms("mice")
    assert synonyms("PARIS") == {"Paris"}
    assert synonyms("cable_car") == {"car"}
    assert synonyms("xyzzy") == synonyms("") == frozenset()
    assert [{lemma.name() for lemma in synset.lemmas()} for synset in Synonyms().synsets("mirror")] == [
        synonyms("mirror")
    ]
    assert Synonyms().synsets("xyzzy") == []


def test_the_tables_say_what_nltk_finds_in_the_whole_of_wordnet() -> None:
    assert len(some_words()) > 90_000
    assert digest(synonyms) == NLTK_SAYS


@pytest.mark.slow
def test_nltk_finds_that_in_the_whole_of_wordnet() -> None:
    from nltk.corpus import wordnet as whole

    try:
        whole.ensure_loaded()
    except LookupError:
        pytest.skip("needs WordNet 3.0 under NLTK_DATA/corpora/wordnet")

    def asked(word: str) -> frozenset[str]:
        lemmas = (lemma.name() for synset in whole.synsets(word) for lemma in synset.lemmas())
        return frozenset(name for name in lemmas if "_" not in name)

    assert digest(asked) == NLTK_SAYS


def test_meteor_needs_neither_network_nor_data_nor_a_home(tmp_path: Path) -> None:
    code = (
        "import socket\n"
        "def refuse(*arguments, **options): raise OSError('no network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from miras.metrics.text import TextSums\n"
        "sums = TextSums(); sums.update('the car stops', 'an auto stopped')\n"
        "print(sums.compute()['meteor'])\n"
    )
    source = str(Path(wordnet.__file__).parents[2])
    empty = {"HOME": str(tmp_path), "PYTHONPATH": source, "PATH": os.environ["PATH"], "NLTK_DATA": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=empty, capture_output=True, text=True, check=False)
    assert (done.stdout, list(tmp_path.iterdir())) == ("0.625\n", []), done.stderr


DATA = """  1 This software and database is being provided to you
00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 ~ 00002137 n 0000 ~ 04424418 n 0000 | that which exists | in space
00001930 03 n 02 motor_car 0 car 1 001 @ 00001740 n 0000 | a "car"
00002137 03 n 01 cable_car 0 000 | several words alone
00002500 00 s 0b big(a) 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 k(ip) 0 000 | eleven, in hexadecimal
00002600 03 n 02 motor_car 0 car 2 000 | another meaning
"""


def test_tables_are_made_from_files_of_wordnet(tmp_path: Path) -> None:
    for part in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text(DATA if part == "noun" else "")
        (tmp_path / f"{part}.exc").write_text("mice mouse\n" if part == "noun" else "")
    extract(tmp_path, tmp_path / "out")
    assert (tmp_path / "out/noun.txt").read_text() == "big b c d e f g h i j k\nentity\nmotor_car car\n"
    assert (tmp_path / "out/noun.exc").read_text() == "mice mouse\n"
    assert (tmp_path / "out/verb.txt").read_text() == ""


@pytest.mark.parametrize("broken", ["no such synset", "00001740 03 n 05 entity 0 000 | cut", None])
def test_other_files_are_refused(tmp_path: Path, broken: str | None) -> None:
    if broken:
        (tmp_path / "data.noun").write_text(broken)
        (tmp_path / "noun.exc").touch()
    with pytest.raises(DataError, match=r"should hold data\.noun and noun\.exc of WordNet 3\.0"):
        extract(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_licence_comes_along() -> None:
    notice = (FOLDER / "LICENSE").read_text(encoding="utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in notice
    assert "Permission to use, copy, modify and distribute this software" in notice
