"""RefCOCO as cases: one for each sentence, asked in the field's words, with the mask of all polygons."""

from pathlib import Path

import pytest
from tests.data.official import write_refcoco

from miras.data.masks import decode
from miras.errors import ConfigError, DataError
from miras.evaluate.benchmarks.refcoco import refcoco_cases
from miras.evaluate.benchmarks.wanted import Wanted


def test_every_sentence_is_a_case(tmp_path: Path) -> None:
    about, drawn = refcoco_cases("refcoco", Wanted(write_refcoco(tmp_path), "val"))
    first, second = list(drawn)
    assert [first.id, second.id] == ["1-10", "1-11"]
    assert first.dialogue.questions == ("What is left dog in this image? Please output segmentation mask.",)
    assert second.dialogue.questions == ("What is dog that sits in this image? Please output segmentation mask.",)
    assert first.dialogue.answers == ("It is [OBJ]left dog[SEG].",)
    assert first.labels == {"category": "dog"} and first.dialogue.focus == "left dog"
    [[target]] = second.targets
    assert target.phrase == "dog that sits" and target.mask is not None and decode(target.mask).sum() == 12
    assert (about["benchmark"], about["split"], about["suite"]) == ("refcoco", "unc:val", "direct")
    assert about["counts"] == {"refs": 1, "sentences": 2, "crowds": 0, "without_mask": 0}
    image = Path(about["images"]) / str(first.image)
    assert image.is_file()


def test_a_split_names_who_cut_it(tmp_path: Path) -> None:
    write_refcoco(tmp_path, "refcocog", "umd")
    write_refcoco(tmp_path, "refcocog", "google")
    assert refcoco_cases("refcocog", Wanted(tmp_path, "val"))[0]["split"] == "umd:val"
    assert refcoco_cases("refcocog", Wanted(tmp_path, "google:val"))[0]["split"] == "google:val"
    with pytest.raises(ConfigError, match="by umd or google, got 'unc'"):
        refcoco_cases("refcocog", Wanted(tmp_path, "unc:val"))


@pytest.mark.parametrize(
    ("prompt", "question"),
    [("plain", "Please mark left dog."), ("Where is {phrase}?", "Where is left dog?")],
)
def test_the_prompt_is_an_option(tmp_path: Path, prompt: str, question: str) -> None:
    about, drawn = refcoco_cases("refcoco", Wanted(write_refcoco(tmp_path), "val", prompt=prompt))
    assert next(drawn).dialogue.questions == (question,)
    assert question == about["prompt"].replace("{phrase}", "left dog")


def test_what_is_not_drawn_is_null_and_counted(tmp_path: Path) -> None:
    about, drawn = refcoco_cases("refcoco", Wanted(write_refcoco(tmp_path), "train"))
    [case] = list(drawn)
    assert case.size is None and about["counts"]["without_mask"] == 1
    about, drawn = refcoco_cases("refcoco", Wanted(tmp_path, "testA"))
    assert [case.id for case in drawn] == ["2-20", "3-30"] and about["counts"]["crowds"] == 1


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    about, _ = refcoco_cases("refcoco", Wanted(write_refcoco(tmp_path), "val", images=tmp_path / "mine"))
    assert about["images"] == str(tmp_path / "mine")
    about, _ = refcoco_cases("refcoco", Wanted(tmp_path / "refer_seg", "val"))
    assert Path(about["images"]).is_dir()


def test_missing_files_are_named_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder refcoco\+ in"):
        refcoco_cases("refcoco+", Wanted(tmp_path, "val"))
