"""Models beside people: tables 10 and 4 from scores that are known."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.evaluate.judge.human.returned import filled, saved
from tests.evaluate.judge.judges import Judge
from tests.evaluate.judge.planted import MakeRun, hand_made, judged, known, run_command
from tests.llm.loopback import Loopback, running

from miras.errors import ConfigError, DataError
from miras.evaluate.judge.human.table import human_table, table_text
from miras.evaluate.judge.judged import read_judged

Make = Callable[..., Path]


@pytest.fixture
def judge_json(tmp_path: Path) -> Make:
    """A judged run: a score of each conversation on every dimension, or a list by dimension."""

    def make(name: str, scores: Mapping[str, float | Sequence[float] | None], **about: Any) -> Path:
        dialogues = []
        for place, score in scores.items():
            four = score if isinstance(score, Sequence) else [score] * 4
            mean = None if None in four else sum(four) / 4  # type: ignore[arg-type]
            columns = dict(zip(("PR", "LC", "CC", "TR", "overall"), [*four, mean], strict=True))
            dialogues.append({"id": place, "group": f"image of {place}", **columns})
        head = {"format": "miras-judge", "version": 1, "judge": "j", "rubric": "r", "temperature": 1.0, "repeats": 5}
        head |= {"images": {"shown": 0, "not_shown": 9, "longest_side": None}, "model": name, "cases_sha256": "drawn"}
        (tmp_path / name).mkdir()
        content = {**head, "drawn_from_sha256": "whole", **about, "dialogues": dialogues}
        (tmp_path / name / "judge.json").write_text(json.dumps(content))
        return tmp_path / name

    return make


def _table(experts: Sequence[Path], models: Sequence[Path]) -> dict[str, Any]:
    return human_table([read_judged(one) for one in experts], [read_judged(one) for one in models])


def test_wins_ties_and_losses(judge_json: Make) -> None:
    experts = [
        judge_json("expert 1", {"a": 4.0, "b": 3.0, "c": [1, 2, 3, 4], "d": 4.0, "e": None}),
        judge_json("expert 2", {"a": 2.0, "b": 3.0, "c": 2.5, "d": 4.0, "e": 4.0}),
    ]
    # Human: 3, 3, 2.5, 4 and not known
    model = judge_json("m", {"a": 3.1, "b": 3.0, "c": [3, 3, 2, 2], "d": 2.0, "e": 5.0})
    table = _table(experts, [model])
    [row] = table["models"]
    assert (row["wins"], row["ties"], row["losses"], row["missing"]) == (1, 2, 1, 1)
    assert row["win_rate"]["value"] == 0.25 and row["win_rate"]["n"] == 4 and row["win_rate"]["missing"] == 1
    assert 0 <= row["win_rate"]["low"] < 0.25 < row["win_rate"]["high"] <= 1
    assert [one["PR"]["value"] for one in table["experts"]] == [pytest.approx(3.0), pytest.approx(3.1)]
    assert table["human"]["PR"]["value"] == pytest.approx((3 + 3 + 1.75 + 4) / 4)
    assert table["human"]["overall"]["missing"] == 1 and table["conversations"] == 5
    text = table_text(table)
    assert "| expert 2 | 3.10 |" in text and "| 25.0 (" in text and "| 1 | 2 | 1 | 1 |" in text


def test_scores_that_differ_by_rounding_are_ties(judge_json: Make) -> None:
    experts = [judge_json(f"expert {n}", {"a": score, "b": 1.0}) for n, score in ((1, 3.1), (2, 3.2), (3, 3.3))]
    [row] = _table(experts, [judge_json("m", {"a": 3.2, "b": 1.0})])["models"]
    assert (row["wins"], row["ties"]) == (0, 2) and row["win_rate"]["value"] == 0


def test_the_paper_s_own_human_row(judge_json: Make) -> None:
    rows = [[4.06, 4.10, 4.38, 4.29], [3.98, 4.02, 4.21, 4.31], [4.05, 4.00, 4.19, 4.24]]
    experts = [judge_json(f"Expert {number}", {"a": row}) for number, row in enumerate(rows, 1)]
    human = _table(experts, [])["human"]
    assert [round(human[column]["value"], 2) for column in ("PR", "LC", "CC", "TR")] == [4.03, 4.04, 4.26, 4.28]


def test_a_model_may_be_judged_on_all_cases_or_on_those_drawn(judge_json: Make) -> None:
    expert = judge_json("expert 1", {"a": 3.0, "b": 3.0})
    more = judge_json("more", {"a": 4.0, "z": 0.0, "b": 4.0}, cases_sha256="whole", drawn_from_sha256=None)
    few = judge_json("few", {"b": 4.0})
    first, second = _table([expert], [more, few])["models"]
    assert first["wins"] == 2 and first["PR"]["value"] == 4.0
    assert second["wins"] == 1 and second["missing"] == 1
    with pytest.raises(ConfigError, match="answers other cases"):
        _table([expert], [judge_json("other", {"a": 1.0}, cases_sha256="x")])
    with pytest.raises(DataError, match="none of the 2 conversations"):
        _table([expert], [judge_json("none", {"z": 1.0})])


@pytest.mark.parametrize("condition", [{"judge": "k"}, {"rubric": "s"}, {"temperature": 0.0}, {"repeats": 1},
                                       {"images": {"shown": 2, "longest_side": 1024}}])  # fmt: skip
def test_only_what_was_judged_alike_is_compared(judge_json: Make, condition: dict[str, Any]) -> None:
    runs = [judge_json("expert 1", {"a": 3.0}), judge_json("m", {"a": 3.0}, **condition)]
    with pytest.raises(ConfigError, match=f"were not judged alike: {next(iter(condition))}"):
        _table(runs[:1], runs[1:])


def test_experts_answer_the_same(judge_json: Make) -> None:
    with pytest.raises(DataError, match="hold other conversations"):
        _table([judge_json("expert 1", {"a": 3.0}), judge_json("expert 2", {"b": 3.0})], [])
    with pytest.raises(ConfigError, match="at least one expert"):
        _table([], [])


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "miras-judge", "version": 1, "dialogues": [{}]}'])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"holds no judge\.json"):
        read_judged(tmp_path)
    (tmp_path / "judge.json").write_text(text)
    with pytest.raises(DataError, match="is no report of a judge"):
        read_judged(tmp_path)


def test_from_cases_to_the_table(make_run: MakeRun, tmp_path: Path) -> None:
    talks, people = hand_made(9), tmp_path / "people"
    true = make_run("true", talks)
    wrong = make_run("wrong", talks, {name: ["Who knows?"] * len(rounds) for name, rounds in talks.items()})
    words = ("--cases", true / "cases.jsonl", "--out", people, "--count", "6", "--experts", "2")
    run_command("evaluate", "human", "export", *words)
    files = []
    for number in (1, 2):  # the first expert knows all last answers, the second nothing
        lines = filled(people, number)
        for line in lines[1:] if number == 1 else ():
            line["answers"][-1] = talks[line["id"]][-1][1]
        files.append(saved(tmp_path / f"{number}.jsonl", lines))
    run_command("evaluate", "human", "import", *files, "--folder", people, "--out", tmp_path / "runs")
    experts = [tmp_path / "runs" / f"expert-{number}" for number in (1, 2)]
    with running(Loopback(Judge(known(talks)))) as server:
        for run in (*experts, true, wrong):
            judged(server, run, "--among", people / "cases.jsonl")
    given = ("--model", true, "--model", wrong, "--out", tmp_path / "table.json")
    said = run_command("evaluate", "human", "table", *experts, *given)
    table = json.loads((tmp_path / "table.json").read_text())
    first, second = table["models"]
    assert (first["wins"], first["win_rate"]["value"], second["losses"]) == (6, 1.0, 6)
    assert [row["overall"]["value"] > 0 for row in table["experts"]] == [True, False]
    with (true / "predictions.jsonl").open("a") as answers:
        answers.write("\n")
    stale = " ".join(run_command("evaluate", "human", "table", *experts, "--model", true, code=2).split())
    assert "is about other answers than" in stale and "judge the run again" in stale
    assert "| true | 5.00 | 5.00 | 5.00 | 5.00 | 5.00 (5.00 to 5.00) | 100.0 (100.0 to 100.0) | 6 | 0 | 0 | 0 |" in said
