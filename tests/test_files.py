"""Files and folders that are whole or absent."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miras.files import made_beside, printable, safe_name, write_beside, write_json, write_text


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("front bumper", "front-bumper"),
        ("../../etc/passwd", "etc-passwd"),
        ("C:\\café\x00", "c-cafe"),
        ("猫", "target"),
        ("", "target"),
        (".hidden", "hidden"),
        ("x" * 300, "x" * 40),
    ],
)
def test_names_are_safe(words: str, name: str) -> None:
    assert safe_name(words) == name


@given(st.text())
def test_any_words_make_one_plain_part_of_a_path(words: str) -> None:
    name = safe_name(words)
    assert 1 <= len(name) <= 40
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not name.startswith("-") and not name.endswith("-")


def test_control_characters_go_and_line_breaks_stay() -> None:
    assert printable("a\x1b[31mb\nc\x07é\ud800") == "a[31mb\ncé"


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = write_text(tmp_path / "new folder" / "a.txt", "old")
    with pytest.raises(KeyboardInterrupt), write_beside(path) as beside:
        beside.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_what_is_no_number_leaves_the_old_json(tmp_path: Path) -> None:
    out = write_json(tmp_path / "figures.json", {"giou": 0.5, "name": "café"})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(out, {"giou": float("nan")})
    assert json.loads(out.read_text(encoding="utf-8")) == {"giou": 0.5, "name": "café"}


def test_a_folder_is_replaced_whole_and_keeps_what_is_not_its_own(tmp_path: Path) -> None:
    place = tmp_path / "set"
    place.mkdir()
    (place / "a.json").write_text("old")
    (place / "notes.txt").write_text("mine")
    with pytest.raises(KeyboardInterrupt), made_beside(place, replacing=["*.json"]) as new:
        (new / "a.json").write_text("half")
        raise KeyboardInterrupt
    assert (place / "a.json").read_text() == "old"
    with made_beside(place, replacing=["*.json"]) as new:
        (new / "b.json").write_text("new")
    assert {path.name: path.read_text() for path in place.iterdir()} == {"b.json": "new", "notes.txt": "mine"}
    assert list(tmp_path.iterdir()) == [place]
