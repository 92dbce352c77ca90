"""Shares of turns in which something is marked, against a hand count."""

from tests.evaluate.written import LEFT

from miras.evaluate.replies import reply_figures
from miras.types import Dialogue, Mark, Said, Target, Turn

TALK = Dialogue(
    (
        Turn("user", "Who meows?"),
        Turn("assistant", "The cat."),
        Turn("user", "Mark it."),
        Turn("assistant", "[OBJ]cat[SEG]"),
    ),
    (Target("cat", LEFT),),
)
MASK = (Mark(LEFT),)


def test_counts_by_hand() -> None:
    right = (Said("The cat."), Said("It is [OBJ]cat[SEG].", MASK))
    bare = (Said("", MASK), Said("[SEG]", MASK))  # a mask that nobody asked for, and one whose name is missing
    silent = (Said("[OBJ]cat"), Said("", ()))
    figures = reply_figures([(TALK, right), (TALK, bare), (TALK, silent)])
    assert figures == {
        "seg_rate": 1 / 3, "marked_rate": 2 / 3, "false_seg_rate": 1 / 3, "seg_turns": 3, "text_turns": 3, "empty": 2,
    }  # fmt: skip


def test_no_turns_give_no_figures() -> None:
    talk = Dialogue((Turn("user", "Hello?"), Turn("assistant", "Hello.")))
    figures = reply_figures([(talk, (Said("Hello."),))])
    assert (figures["seg_rate"], figures["marked_rate"], figures["false_seg_rate"]) == (None, None, 0.0)
    assert reply_figures([])["false_seg_rate"] is None
