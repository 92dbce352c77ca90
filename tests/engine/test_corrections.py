"""What a person corrects stays beside its turn."""

from typing import Any

import numpy as np
import pytest

from miras.data.masks import encode
from miras.engine.corrections import Correction
from miras.errors import MaskError, SessionError

HALF = np.arange(50 * 80).reshape(50, 80) < 2000


def correction(mask: np.ndarray = HALF) -> Correction:
    return Correction("Which one?", None, (("roof", encode(mask)),))


def test_corrections_go_with_their_turns(start: Any, picture: Any) -> None:
    engine = start()
    name = engine.open(picture(50, 80))
    for question in ("One?", "Two?"):
        engine.ask(name, question, limit=3).reply()
    said = engine.view(name).replies
    engine.correct(name, 0, Correction(answer="No."))
    view = engine.correct(name, 1, correction())
    assert view.corrections == {0: Correction(answer="No."), 1: correction()} and view.replies == said
    twin, first = engine.branch(name), engine.branch(name, 1)
    assert engine.view(twin).corrections == view.corrections
    assert engine.view(first).corrections == {0: Correction(answer="No.")}
    assert engine.correct(twin, 0, None).corrections == {1: correction()}
    assert engine.undo(name).corrections == {0: Correction(answer="No.")} and len(view.corrections) == 2
    engine.ask(name, "Two?", limit=3).reply()
    assert 1 not in engine.view(name).corrections


def test_what_fits_no_turn_or_image_is_refused(start: Any, picture: Any) -> None:
    engine = start()
    name = engine.open(picture(50, 80))
    engine.ask(name, "One?", limit=3).reply()
    for turn in (-1, 1):
        with pytest.raises(SessionError, match="counted from 0"):
            engine.correct(name, turn, correction())
    with pytest.raises(MaskError, match="50 x 80 pixels"):
        engine.correct(name, 0, correction(HALF.T))
    with pytest.raises(MaskError, match="do not fill"):
        engine.correct(name, 0, Correction(targets=(("roof", {"size": [50, 80], "counts": "1"}),)))
    assert engine.view(name).corrections == {}


@pytest.mark.parametrize("one", [correction(), Correction(), Correction(answer="[OBJ]a[SEG]", targets=())])
def test_corrections_are_read_as_they_were_written(one: Correction) -> None:
    assert Correction.from_json(one.to_json()) == one
