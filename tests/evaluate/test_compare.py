"""Two runs beside each other: hand-made ones that are equal, better and worse, and those that cannot be compared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.evaluate.written import HEAD, LEFT, TOP, case_lines, drawn, write_lines
from typer.testing import CliRunner

from miras.cli import app
from miras.errors import ConfigError, DataError
from miras.evaluate.compare import compare_runs
from miras.evaluate.score import adopt_answers, score_run

IMAGES = 12
MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """A scored run on a dozen images, each with one target, the left half; `marked` and `said` answer by the place."""

    def make(name: str, marked: Callable[[int], Any], said: Callable[[int], str], **about: Any) -> Path:
        cases, answers = [case_lines()[0]], [{**HEAD, "model": name, **about}]
        for place in range(IMAGES):
            cat = {"phrase": "cat", "mask": LEFT if place else drawn("#...", "....", "....", "....")}
            first = {"question": "Who meows?", "answer": "The cat on the mat does.", "targets": []}
            last = {"question": "Mark it.", "answer": "It is [OBJ]cat[SEG].", "targets": [cat]}
            case = {"id": str(place), "image": f"{place}.png", "focus": None, "labels": {"category": "ab"[place % 2]}}
            cases.append({**case, "turns": [first, last]})
            masks = [{"mask": mask} for mask in marked(place)]
            turns = [{"text": said(place), "masks": []}, {"text": "It is [OBJ]cat[SEG].", "masks": masks}]
            answers.append({"id": str(place), "turns": turns})
        asked = write_lines(tmp_path / "cases.jsonl", cases)
        adopt_answers(write_lines(tmp_path / "predictions.jsonl", answers), asked, tmp_path / name)
        score_run(tmp_path / name, replicates=5)
        return tmp_path / name

    return make


def _right(place: int) -> str:
    return "The cat on the mat does."


def test_equal_runs_differ_by_nothing(make_run: MakeRun) -> None:
    runs = [make_run(name, lambda place: [TOP], lambda place: "A dog on the mat.") for name in ("one", "two")]
    found = compare_runs(*runs, by=["size"], replicates=50)
    shown = [found["masks"]["giou"], found["masks"]["ciou"], found["masks"]["boundary_iou"], found["text"]["meteor"]]
    shown += [found["masks"]["prec_at"]["0.5"], found["masks"]["by_size"]["coarse"]["giou"], found["text"]["bleu_4"]]
    assert all((one["difference"], one["interval"], one["p"]) == (0, [0, 0], 1) for one in shown)
    assert found["masks"]["empty_accuracy"]["run"] is None and found["masks"]["empty_accuracy"]["p"] is None
    assert (found["cases"], found["masks"]["targets"], found["text"]["answers"]) == (IMAGES, IMAGES, 2 * IMAGES)


def test_a_better_run_is_told_from_chance(make_run: MakeRun) -> None:
    good = make_run("good", lambda place: [LEFT], _right)
    poor = make_run("poor", lambda place: [TOP], lambda place: _right(place) if place else "Nobody knows.")
    found = compare_runs(good, poor, by=["size", "category"], replicates=400)
    giou = found["masks"]["giou"]
    values = json.loads((good / "figures.json").read_text())["masks"], json.loads((poor / "figures.json").read_text())
    assert (giou["run"], giou["other"]) == (values[0]["giou"], values[1]["masks"]["giou"])
    # eleven targets of 8 pixels, of which the upper half holds 4 of 12; both masks hold the one pixel of the first
    assert giou["difference"] == pytest.approx((11 * (1 - 4 / 12)) / 12)
    assert 0 < giou["interval"][0] < giou["difference"] < giou["interval"][1] and giou["p"] < 0.01
    assert found["masks"]["boundary_iou"]["p"] < 0.01 and found["masks"]["prec_at"]["0.9"]["p"] < 0.01
    assert found["masks"]["by_category"]["a"]["targets"] == 6 and found["masks"]["by_category"]["b"]["giou"]["p"] < 0.1
    assert found["masks"]["by_size"].keys() == {"coarse"}
    # one reply of a dozen is worse: that may well be chance
    rouge = found["text_without_last"]["rouge_l"]
    assert rouge["difference"] == pytest.approx(1 / 12) and rouge["interval"][0] == 0 and rouge["p"] > 0.5
    assert found["text"]["rouge_l"]["difference"] == pytest.approx(1 / 24)
    assert found["text"]["dist_1"]["difference"] < 0 and found["text"]["dist_1"]["p"] is None
    back = compare_runs(poor, good, replicates=400)["masks"]["giou"]
    assert back["difference"] == -giou["difference"] and back["p"] == giou["p"]
    assert back["interval"] == pytest.approx([-end for end in reversed(giou["interval"])])


def test_masks_too_many_count_against_a_run(make_run: MakeRun) -> None:
    plain = make_run("plain", lambda place: [LEFT], _right)
    more = make_run("more", lambda place: [LEFT, drawn("....", "....", "....", "...#")], _right)
    found = compare_runs(plain, more, by=["size"], replicates=400)["masks"]
    assert found["targets"] == IMAGES and found["giou"]["difference"] > 0.4 and found["giou"]["p"] < 0.01
    assert found["by_size"].keys() == {"coarse"} and found["by_size"]["coarse"]["giou"]["difference"] == 0


def test_what_one_run_does_not_have_is_unknown(make_run: MakeRun) -> None:
    plain = make_run("plain", lambda place: [LEFT], _right)
    box = make_run("box", lambda place: [LEFT], _right, text_turns="without_last")
    found = compare_runs(plain, box, replicates=5)
    assert found["text"] is None and found["text_without_last"]["rouge_l"]["p"] == 1


def test_the_command_shows_and_writes_it(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run(name, lambda place: [TOP], _right) for name in ("one", "two")]
    out = tmp_path / "both.json"
    done = CliRunner().invoke(app, ["evaluate", "compare", *map(str, runs), "--by", "size", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "gIoU" in done.output and "coarse" in done.output and "METEOR" in done.output
    assert json.loads(out.read_text()) == compare_runs(*runs, by=["size"]) | {
        "command": json.loads(out.read_text())["command"]
    }
    done = CliRunner().invoke(app, ["evaluate", "compare", *map(str, runs), "--by", "colour"])
    assert done.exit_code == 2 and "there are category, size, turn" in " ".join(done.output.split())


def test_only_runs_on_the_same_cases_are_compared(make_run: MakeRun, tmp_path: Path) -> None:
    one = make_run("one", lambda place: [LEFT], _right)
    other = make_run("other", lambda place: [LEFT], _right)
    lines = (tmp_path / "cases.jsonl").read_text().replace("Who meows?", "Who barks?")
    (tmp_path / "cases.jsonl").write_text(lines)
    adopt_answers(other / "predictions.jsonl", tmp_path / "cases.jsonl", tmp_path / "barks")
    score_run(tmp_path / "barks", replicates=5)
    with pytest.raises(DataError, match=r"one and .*barks answer different cases"):
        compare_runs(one, tmp_path / "barks")
    with pytest.raises(ConfigError, match="no grouping 'colour'; there are category, size, turn"):
        compare_runs(one, other, by=["colour"])
    (other / "predictions.jsonl").write_text((other / "predictions.jsonl").read_text().replace("the mat", "the hat"))
    with pytest.raises(DataError, match=r"figures.json was made of another predictions.jsonl than the one beside it"):
        compare_runs(one, other)
    (other / "predictions.jsonl").unlink()
    with pytest.raises(DataError, match=r"other should hold cases.jsonl, predictions.jsonl and targets.jsonl"):
        compare_runs(one, other)
    with pytest.raises(DataError, match=r"none is no folder of a scored run"):
        compare_runs(one, tmp_path / "none")


def test_targets_of_another_scoring_are_refused(make_run: MakeRun) -> None:
    run = make_run("one", lambda place: [LEFT], _right)
    lines = (run / "targets.jsonl").read_text().splitlines(keepends=True)
    (run / "targets.jsonl").write_text("".join(lines[1:]))
    with pytest.raises(DataError, match=r"counts 12 targets, targets.jsonl beside it 11; score the answers again"):
        compare_runs(run, run)
