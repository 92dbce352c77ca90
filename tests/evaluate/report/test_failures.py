"""Each kind of failure by a target or a turn that shows it and one that does not."""

from pathlib import Path

import pytest
from tests.evaluate.report.conftest import MakeRun
from tests.evaluate.written import LEFT

from miras.evaluate.cases import Case
from miras.evaluate.report.failures import KINDS, Replied, failure_table, failures
from miras.evaluate.report.outcomes import Outcome
from miras.evaluate.report.run import Run, read_folder
from miras.evaluate.targets import Met
from miras.metrics.masks import Counts
from miras.types import Dialogue, Mark, Said, Target, Turn

CASE = Case(
    "c",
    Dialogue(
        (Turn("user", "Mark it."), Turn("assistant", "[OBJ]the Cat[SEG]")), (Target("the Cat", LEFT),), image="a.png"
    ),
)
TALK = Case("t", Dialogue((Turn("user", "Who?"), Turn("assistant", "The cat.")), (), image="a.png"))


def kinds(tp: int, fp: int, fn: int, *, said: str = "cat", score: float | None = None, marked: bool = True) -> set[str]:
    pixels, place = Counts(tp, fp, fn, 16), 0 if marked else None
    met = Met("c", 0, 0, "the Cat", place, score if marked else None, pixels, pixels, "a.png", {"by_size": "coarse"})
    one = Outcome(met, CASE, (Said("x", (Mark(LEFT, said, score),) if marked else ()),))
    return {kind.name for kind in KINDS if kind.of == "targets" and kind.holds(one)}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((8, 0, 0), set()),
        ((8, 8, 0), set()),  # IoU, precision 0.5: not too much
        ((0, 0, 0), set()),  # nothing there, nothing marked
        ((0, 0, 8), {"nothing marked"}),
        ((0, 8, 8), {"wrong thing"}),
        ((1, 0, 10), {"wrong thing"}),  # 1/11
        ((1, 0, 9), {"too little"}),  # 1/10
        ((6, 10, 2), {"too much"}),
        ((4, 5, 5), {"half beside it"}),
        ((0, 8, 0), {"marked though nothing is there"}),
    ],
)
def test_masks_by_their_pixels(counts: tuple[int, int, int], expected: set[str]) -> None:
    assert kinds(*counts, marked=counts != (0, 0, 8)) == expected


def test_names_differ_in_more_than_case_articles_and_signs() -> None:
    assert kinds(8, 0, 0, said="A cat!") == set()
    assert kinds(8, 0, 0, said="") == set()
    assert kinds(8, 0, 0, said="dog") == {"other name"}


def test_sure_and_wrong_needs_both() -> None:
    assert kinds(2, 4, 4, score=0.81) == {"half beside it", "sure and wrong"}
    assert kinds(2, 4, 4, score=0.8) == {"half beside it"}
    assert kinds(8, 0, 0, score=0.9) == set()


def replied(case: Case, text: str, marks: int) -> set[str]:
    one = Replied(case, 0, (Said(text, (Mark(LEFT),) * marks),))
    return {kind.name for kind in KINDS if kind.of == "turns" and kind.holds(one)}


def test_replies() -> None:
    assert replied(CASE, "It is that.", 1) == set()
    assert replied(CASE, "No.", 0) == set()
    assert replied(CASE, "Both.", 2) == {"several for one"}
    assert replied(TALK, "The cat.", 0) == set()
    assert replied(TALK, "The cat.", 2) == {"marked unasked"}
    assert replied(TALK, " \n", 0) == {"empty reply"}


def test_the_table_counts_and_tells_the_rule(make_run: MakeRun) -> None:
    run = read_folder(make_run(half=True))
    assert isinstance(run, Run)
    found = failures(run)
    counted = {failure.kind.name: (len(failure.found), failure.among) for failure in found}
    assert counted["nothing marked"] == (0, 3) and counted["empty reply"] == (0, 3)
    grid = failure_table(run, found, "run1")
    assert [row.name for row in grid.rows] == [kind.name for kind in KINDS]
    assert {row.cells[3] for row in grid.rows} == {kind.rule for kind in KINDS}


def test_without_answers_nothing_is_counted(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run()
    (folder / "predictions.jsonl").unlink()
    run = read_folder(folder)
    assert isinstance(run, Run) and failures(run) == []
