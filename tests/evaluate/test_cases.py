"""Files of cases: there and back, and every complaint names its line."""

from pathlib import Path
from typing import Any

import pytest
from tests.evaluate.written import LEFT, TOP, case_lines, drawn, write_lines

from miras.errors import DataError
from miras.evaluate.cases import Case, read_cases, write_cases
from miras.types import Dialogue, Target, Turn


def test_there_and_back(tmp_path: Path) -> None:
    cases = read_cases(write_lines(tmp_path / "one.jsonl", case_lines()))
    assert write_cases(tmp_path / "two.jsonl", cases.about, cases) == 2
    again = read_cases(tmp_path / "two.jsonl")
    assert (again.about, again.cases) == (cases.about, cases.cases)
    assert [case.id for case in again] == ["cat", "both"]
    cat, both = again
    assert cat.dialogue.answers == ("The cat.", "It is [OBJ]cat[SEG].")
    assert [[target.phrase for target in turn] for turn in cat.targets] == [[], ["cat"]]
    assert [[target.mask for target in turn] for turn in both.targets] == [[LEFT, TOP]]
    assert cat.size == (4, 4) and cat.labels == {"category": "animal"}
    assert again.image_path(cat) == Path("i/a.png")
    assert again.image_path(cat, Path("/elsewhere")) == Path("/elsewhere/a.png")


def test_the_hash_is_of_the_file(tmp_path: Path) -> None:
    first = read_cases(write_lines(tmp_path / "one.jsonl", case_lines()))
    changed = case_lines()
    changed[1]["focus"] = "dog"
    assert first.sha256 != read_cases(write_lines(tmp_path / "two.jsonl", changed)).sha256
    assert first.sha256 == read_cases(write_lines(tmp_path / "three.jsonl", case_lines())).sha256


def test_masks_and_images_may_be_unknown(tmp_path: Path) -> None:
    lines = case_lines()
    lines[1]["image"], lines[1]["turns"][1]["targets"][0]["mask"] = None, None
    cases = read_cases(write_lines(tmp_path / "one.jsonl", lines))
    assert cases[0].size is None and cases.image_path(cases[0], tmp_path) is None


def test_a_second_case_of_one_name_is_not_written(tmp_path: Path) -> None:
    dialogue = Dialogue((Turn("user", "Mark it."), Turn("assistant", "[SEG]")), (Target("it", LEFT),), image="a.png")
    with pytest.raises(DataError, match="two cases are called 'one'"):
        write_cases(tmp_path / "one.jsonl", {}, [Case("one", dialogue), Case("one", dialogue)])
    assert not list(tmp_path.iterdir())


def _without(name: str) -> dict[str, Any]:
    line = case_lines()[1]
    del line[name]
    return line


def _with_target(**target: Any) -> dict[str, Any]:
    line = case_lines()[2]
    line["turns"][0]["targets"][1] |= target
    return line


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (_without("id"), "id should be a text that is not empty, got None"),
        (_without("turns"), "turns should be a list of objects, got None"),
        ({**case_lines()[1], "turns": [{"question": "?", "answer": 5, "targets": []}]}, "answer should be a text"),
        ({**case_lines()[1], "labels": {"category": 7}}, "labels should be an object of texts"),
        ({**case_lines()[1], "image": "../../etc/passwd"}, "leads out of the folder"),
        (_with_target(mask={"size": [4, 4], "counts": "08"}), "mask: run lengths of a 4x4 mask do not fill it"),
        (_with_target(mask=drawn("#.", "..")), "another size"),
        ({**case_lines()[1], "turns": [{"question": "?", "answer": "[SEG]", "targets": []}]}, "one target per"),
        ('{"id": NaN}', "NaN is no number"),
        ("[]", "should be a JSON object"),
        ("{", "not a JSON object on one line"),
    ],
)
def test_complaints_name_the_line(tmp_path: Path, line: Any, complaint: str) -> None:
    path = write_lines(tmp_path / "one.jsonl", [case_lines()[0], case_lines()[2] | {"id": "fine"}, line])
    with pytest.raises(DataError, match=complaint) as caught:
        read_cases(path)
    assert str(caught.value).startswith(f"{path}, line 3")


def test_ids_come_once(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "one.jsonl", [*case_lines(), case_lines()[1]])
    with pytest.raises(DataError, match="line 4: the id 'cat' comes a second time"):
        read_cases(path)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "is empty"),
        ([{"format": "miras-predictions", "version": 1}], "line 1: the file should begin with"),
        ([{"format": "miras-cases", "version": 2}], "line 1: the file should begin with"),
        ([case_lines()[0]], "holds no case"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, lines: list[Any], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read_cases(write_lines(tmp_path / "one.jsonl", lines))


def test_a_missing_file_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file at"):
        read_cases(tmp_path / "none.jsonl")
    path = write_lines(tmp_path / "one.jsonl", case_lines())
    path.write_bytes(path.read_bytes() + b"\xff\xfe")
    with pytest.raises(DataError, match="cannot be read as UTF-8"):
        read_cases(path)
