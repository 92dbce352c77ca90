"""Masks through the decoder: cut to the box, from the baseline's own words, asked once; else the box as it is."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.evaluate.baselines.test_masks import case, held
from tests.evaluate.written import TOP, drawn

from miras.data.masks import decode
from miras.evaluate.baselines.decoder import Decoder
from miras.evaluate.baselines.masks import fill, mark_all
from miras.llm.store import Store


class Marks:
    """Marks the upper half of everything but ghosts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def eval(self) -> "Marks":
        return self

    def session(self, image: Any, /) -> Any:
        return SimpleNamespace(ask=self._ask)

    def _ask(self, question: str) -> Any:
        self.asked.append(question)
        mask = decode(TOP) & ("ghost" not in question)
        return SimpleNamespace(targets=[SimpleNamespace(mask=mask)] if "nobody" not in question else [])


def test_what_is_marked_is_cut_to_the_box(tmp_path: Path) -> None:
    model, left = Marks(), fill((0, 0, 2, 4), (4, 4))
    assert left is not None
    for _ in range(2):  # the second time from the store
        with Store(tmp_path / "run.sqlite") as store:
            decoder = Decoder(model, "hash", store)
            cut = decoder.mask(tmp_path / "a.png", "The cat", left)
            assert cut is not None and (cut == decode(drawn("##..", "##..", "....", "...."))).all()
            assert decoder.mask(tmp_path / "a.png", "ghost", left) is None
            assert decoder.mask(tmp_path / "a.png", "nobody", left) is None
            assert decoder.mask(tmp_path / "a.png", " ", left) is None
    assert model.asked == ["Mark the cat.", "Mark the ghost.", "Mark the nobody."]
    with Store(tmp_path / "run.sqlite") as store:
        Decoder(model, "other weights", store).mask(tmp_path / "a.png", "cat", left)
    assert len(model.asked) == 4


def test_boxes_without_words_stay_and_are_counted(tmp_path: Path) -> None:
    said = "<ref>cat</ref><box>(0, 0), (2, 4)</box> <box>(2, 0), (4, 4)</box> <ref>ghost</ref><box>(0, 3), (1, 4)</box>"
    with Store(tmp_path / "run.sqlite") as store:
        decoder = Decoder(Marks(), "hash", store)
        marked = mark_all(
            [(case("a", "[OBJ]cat[SEG]"), held("a", said))],
            "pixels",
            lambda _, label, inside: decoder.mask(tmp_path / "a.png", label, inside),
        )
    masks = [mark.mask for mark in marked.answered[0].turns[0].masks]
    assert masks == [
        drawn("##..", "##..", "....", "...."),
        drawn("..##", "..##", "..##", "..##"),
        drawn("....", "....", "....", "#..."),
    ]
    assert marked.counts["boxes_as_they_are"] == 2 and marked.counts["boxes"] == 3
