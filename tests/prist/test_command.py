"""`miras prist …` as it is typed: what it says, what it writes, and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from miras.cli import app

Write = Callable[..., Path]


def _prist(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["prist", *map(str, words)])
    return done.exit_code, " ".join(done.output.split())


def test_validate_counts_the_authors_file_and_ends_well(shared_prist: Path, tmp_path: Path) -> None:
    code, said = _prist("validate", shared_prist, "--out", tmp_path / "findings.json")
    assert code == 0 and "508 of 508 records can be used" in said
    for kind, number in (("duplicate", 12), ("collision", 8), ("non-ASCII turn", 67), ("non-ASCII focus", 15)):
        assert f"{number} {kind}" in said, kind
    [checked] = json.loads((tmp_path / "findings.json").read_text())
    assert checked["usable"] == 508 and all(one["remedy"] for one in checked["findings"])


def test_validate_ends_with_1_where_a_record_is_of_no_use(prist_file: Write, records: list[Any]) -> None:
    del records[1]["focus"]
    code, said = _prist("validate", prist_file(*records))
    assert code == 1 and "record 1: lacks ['focus']" in said and "2 of 3 records can be used" in said


def test_convert_there_and_back(prist_file: Write, records: list[Any], tmp_path: Path, images: Path) -> None:
    source = prist_file(*records)
    code, said = _prist("convert", source, tmp_path / "t.parquet", "--to", "parquet", "--images", images)
    assert code == 0 and said.startswith("3 dialogues in")
    assert _prist("convert", tmp_path / "t.parquet", tmp_path / "back.json", "--to", "prist")[0] == 0
    assert (tmp_path / "back.json").read_bytes() == source.read_bytes()
    code, said = _prist("convert", source, tmp_path / "x", "--to", "docx")
    assert code == 2 and "a format is one of prist, llava, parquet, coco, labelme, got docx" in said
    assert not (tmp_path / "x").exists()


def test_split_merge_and_sample(prist_file: Write, records: list[Any], tmp_path: Path) -> None:
    source = prist_file(*records)
    code, said = _prist("split", source, tmp_path / "parts", "--sizes", "train=2,test=1")
    assert code == 0 and "2 dialogues about 1 image" in said and "1 dialogue about 1 image" in said
    code, said = _prist("split", source, tmp_path / "odd", "--sizes", "train")
    assert code == 2 and "train=7312,val=500,test=508" in said
    parts = [tmp_path / "parts" / f"{part}.json" for part in ("train", "test", "train")]
    code, said = _prist("merge", *parts, "--out", tmp_path / "merged.json")
    assert code == 0 and said.startswith("3 dialogues in") and said.endswith("2 were there before")
    assert _prist("sample", source, tmp_path / "two.json", "--count", 2, "--seed", 3)[0] == 0
    assert len(json.loads((tmp_path / "two.json").read_text())) == 2
    code, said = _prist("sample", source, tmp_path / "four.json", "--count", 4)
    assert code == 2 and "ask for less" in said


def test_show_says_how_many_have_no_picture(
    prist_file: Write, records: list[Any], tmp_path: Path, images: Path
) -> None:
    (images / "b.png").unlink()
    code, said = _prist("show", prist_file(*records), tmp_path / "pages", "--images", images)
    assert code == 0 and said.endswith("1 of them without a picture")
    code, said = _prist("show", prist_file(name="none.json"), tmp_path / "nothing")
    assert code == 2 and "holds no dialogue" in said and not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("command", ["convert", "split", "sample", "show", "stats", "card", "fetch"])
def test_a_missing_file_is_named(command: str, tmp_path: Path) -> None:
    more = {
        "convert": ["o", "--to", "llava"], "split": ["o", "--sizes", "a=1"], "sample": ["o", "--count", "1"],
        "show": ["o"], "stats": [], "card": ["o", "--name", "n"], "fetch": ["o", "--base", "http://127.0.0.1:9"],
    }[command]  # fmt: skip
    code, said = _prist(command, tmp_path / "gone.json", *more)
    assert code == 2 and "gone.json" in said
