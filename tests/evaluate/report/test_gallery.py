"""Which targets a gallery shows, and how two runs are set side by side."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.evaluate.report.conftest import MakeRun
from tests.evaluate.written import LEFT

from miras.errors import DataError
from miras.evaluate.cases import Case
from miras.evaluate.report.against import against
from miras.evaluate.report.content import Cards, Cell, Grid, Picture
from miras.evaluate.report.gallery import choose, gallery
from miras.evaluate.report.outcomes import Outcome
from miras.evaluate.report.run import Run, read_folder
from miras.evaluate.score import score_run
from miras.evaluate.targets import Met
from miras.metrics.masks import Counts
from miras.types import Dialogue, Said, Target, Turn


def read(folder: Path) -> Run:
    run = read_folder(folder)
    assert isinstance(run, Run)
    return run


def target(number: int, iou: float, category: str) -> Outcome:
    turns = (Turn("user", "Mark it."), Turn("assistant", "[OBJ]it[SEG]"))
    case = Case(str(number), Dialogue(turns, (Target("it", LEFT),), image=f"{number}.png"), {"category": category})
    labels = {"by_size": "fine", "by_category": category}
    pixels = Counts(round(1000 * iou), 0, 1000 - round(1000 * iou), 0)
    return Outcome(
        Met(str(number), 0, 0, "it", None, None, pixels, pixels, f"{number}.png", labels), case, (Said("x"),)
    )


def test_no_category_crowds_the_others_out() -> None:
    # the ten best are all of cats; dogs and birds come later
    outcomes = [target(n, 1 - n / 100, "cat" if n < 10 or n > 20 else ("dog", "bird")[n % 2]) for n in range(60)]
    chosen = choose(outcomes, 3, seed=0)
    assert [one.category for one in chosen["best"]] == ["cat", "dog", "bird"]
    assert [one.case.id for one in chosen["best"]] == ["0", "10", "11"]
    assert next(one.case.id for one in chosen["worst"]) == "59"
    shown = [one.case.id for part in chosen.values() for one in part]
    assert len(shown) == len(set(shown)) == 9


def test_median_lies_in_the_middle_and_ties_are_drawn_by_the_seed() -> None:
    outcomes = [target(n, n / 100, str(n)) for n in range(101)]
    assert sorted(one.iou for one in choose(outcomes, 3, seed=0)["median"]) == [0.49, 0.5, 0.51]
    equal = [target(n, 0.0, str(n)) for n in range(40)]
    first, again, other = (choose(equal, 4, seed=seed)["worst"] for seed in (0, 0, 1))
    assert [one.case.id for one in first] == [one.case.id for one in again] != [one.case.id for one in other]


def test_few_targets_are_shared_out_and_masks_too_many_left_out() -> None:
    outcomes = [target(0, 0.9, "cat"), target(1, 0.1, "cat"), target(2, 0.5, "cat")]
    outcomes[2] = replace(outcomes[2], met=replace(outcomes[2].met, index=None))
    chosen = choose(outcomes, 8, seed=0)
    assert {name: [one.case.id for one in part] for name, part in chosen.items()} == {
        "best": ["0"], "median": [], "worst": ["1"]
    }  # fmt: skip


def test_cards_show_the_photo_the_question_and_the_reply(make_run: MakeRun) -> None:
    cards = [
        card for part in gallery(read(make_run(half=True)), "run1", count=1, seed=0, images=None) for card in part.cards
    ]
    cat = next(card for card in cards if card.title == "cat")
    assert cat.badge == "IoU 0.50" and isinstance(cat.pictures[0], Picture)
    assert cat.said[-1] == ("Mark it.", "nano", "It is [OBJ]cat[SEG].") and cat.said[0][0] == "Who meows?"
    assert "confidence 1.00" in cat.facts and "recall 0.50" in cat.facts


def test_an_image_that_cannot_be_had_is_said(make_run: MakeRun, tmp_path: Path) -> None:
    run = read(make_run())
    for image in (tmp_path / "photos").iterdir():
        image.unlink()
    pictures = [card.pictures[0] for part in gallery(run, "r", count=1, seed=0, images=None) for card in part.cards]
    assert pictures and all(isinstance(one, str) and "no image at" in one for one in pictures)


def test_without_masks_conversations_are_shown_in_words(make_run: MakeRun) -> None:
    folder = make_run(masks=None)
    (part,) = gallery(read(folder), "run1", count=1, seed=0, images=None)
    (card,) = part.cards
    assert part.title == "Conversations" and not card.pictures
    assert {by for _, by, _ in card.said} == {"nano", "expected"}


def _value(cell: Cell) -> float | None:
    assert isinstance(cell, tuple)
    return cell[0].value


def test_two_runs_side_by_side(make_run: MakeRun) -> None:
    whole, half = (read(made) for made in (make_run("whole", plain=True), make_run("half", half=True, plain=True)))
    whole, half = replace(whole, setting="fine-tuned"), replace(half, setting="zero-shot")
    section = against(whole, half, count=5, images=None)
    assert "1 have a higher IoU, 0 a lower one, 2 the same" in section.notes[0]
    grid, gains = section.blocks
    assert isinstance(grid, Grid) and isinstance(gains, Cards) and len(section.blocks) == 2
    assert [column.name for column in grid.columns] == ["nano (zero-shot)", "nano (fine-tuned)", "difference", "p"]
    cells = {row.name: row.cells for row in grid.rows}
    # of two images one differs: the coin changes nothing, or all
    assert _value(cells["gIoU"][2]) == pytest.approx(0.5 / 3) and _value(cells["gIoU"][3]) == 1
    assert _value(cells["cIoU"][2]) == pytest.approx(1 - 20 / 24) and _value(cells["precision, macro"][2]) == 0
    assert _value(cells["coarse, gIoU"][2]) == _value(cells["recall, macro"][2]) == _value(cells["gIoU"][2])
    assert isinstance(cells["gIoU"][2], tuple) and cells["gIoU"][2][0].spread() == "[+0.0, +50.0]"
    assert {"BLEU-4, all turns", "METEOR, last turn left out"} < cells.keys()
    (card,) = gains.cards
    assert card.badge == "+0.50" and [one.caption for one in card.pictures if isinstance(one, Picture)] == [
        "nano (zero-shot): IoU 0.50", "nano (fine-tuned): IoU 1.00"
    ]  # fmt: skip
    back = against(half, whole, count=5, images=None)
    assert [block.name for block in back.blocks] == ["against-figures", "against-losses"]


def test_runs_over_other_cases_are_not_compared(make_run: MakeRun) -> None:
    first, second, third = (make_run(name) for name in ("first", "second", "third"))
    lines = (second / "cases.jsonl").read_text().replace("Who meows?", "Who barks?")
    (second / "cases.jsonl").write_text(lines)
    score_run(second, replicates=5)
    with pytest.raises(DataError, match="answer different cases"):
        against(read(first), read(second), count=1, images=None)
    (third / "predictions.jsonl").unlink()
    with pytest.raises(DataError, match=r"should hold cases.jsonl, predictions.jsonl and targets.jsonl"):
        against(read(first), read(third), count=1, images=None)


def test_without_masks_two_runs_are_compared_in_words(make_run: MakeRun) -> None:
    runs = [read(make_run(name, masks=None)) for name in ("one", "two")]
    section = against(runs[0], runs[1], count=3, images=None)
    (grid,) = section.blocks
    assert (
        isinstance(grid, Grid) and all("turn" in row.name for row in grid.rows) and "in words alone" in section.notes[0]
    )
