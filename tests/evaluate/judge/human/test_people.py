"""People who score: their file, and how far they agree with the judge and with one another."""

import json
from pathlib import Path

import pytest
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score
from tests.evaluate.judge.planted import run_command

from miras.errors import DataError
from miras.evaluate.judge.figures import band
from miras.evaluate.judge.human.people import agreement, read_scorings
from miras.evaluate.judge.judged import Judged, read_judged

JUDGE = {"a": 4.5, "b": 3.0, "c": 1.0, "d": 4.0, "e": 2.0, "f": 0.5}
HEAD = "person,id,PR,LC,CC,TR\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    dialogues = [
        {"id": name, "group": name, "PR": score, "LC": score, "CC": 3.0, "TR": None if name == "f" else 5 - score,
         "overall": score} for name, score in JUDGE.items()
    ]  # fmt: skip
    content = {"format": "miras-judge", "version": 1, "judge": "j", "model": "m", "dialogues": dialogues}
    (tmp_path / "judge.json").write_text(json.dumps(content))
    return tmp_path


@pytest.fixture
def judged(run: Path) -> Judged:
    return read_judged(run)


def _file(run: Path, text: str) -> Path:
    (run / "scores.csv").write_text(text, encoding="utf-8")
    return run / "scores.csv"


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "Ada,a,4.5,4,,5\nBen,a,1,2,3,4\n",
        "\ufeff" + HEAD.replace(",", ";") + 'Ada;a;4,5;4;;5\r\n"Ben";a;1;2;3;4\r\n;;;;;\r\n',
        HEAD.replace(",", "\t") + "Ada\ta\t4.5\t4\t\t5\nBen\ta\t1\t2\t3\t4",
    ],
)
def test_files_of_any_spreadsheet_are_read(run: Path, judged: Judged, text: str) -> None:
    read = read_scorings(_file(run, text), judged)
    assert read["Ada"]["a"] == {"PR": 4.5, "LC": 4.0, "CC": None, "TR": 5.0, "overall": None}
    assert read["Ben"]["a"]["overall"] == 2.5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: should be person,id,PR,LC,CC,TR, got 'nothing'"),
        ("id,person,PR,LC,CC,TR\n", "line 1: should be person"),
        (HEAD, "holds no scores"),
        (HEAD + "Ada,a,1,1,1,1\nAda,a,1,1,1,1\n", "line 3: Ada scores 'a' a second time"),
        (HEAD + "Ada,zebra,1,1,1,1\n", "line 2: should name a person and a conversation"),
        (HEAD + ",a,1,1,1,1\n", "line 2: should name a person"),
        (HEAD + "Ada,a,1,1,1\n", "line 2: should have 6 cells, got 5"),
        (HEAD + "Ada,a,1,6,1,1\n", "line 2: LC should be a number in 0..5 or empty, got '6'"),
        (HEAD + "Ada,a,1,1,good,1\n", "line 2: CC should be a number in 0..5 or empty, got 'good'"),
        (HEAD + "Ada,a,nan,1,1,1\n", "line 2: PR should be a number"),
    ],
)
def test_wrong_cells_are_named_by_line(run: Path, judged: Judged, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=r"scores\.csv") as caught:
        read_scorings(_file(run, text), judged)
    assert complaint in str(caught.value)


def test_agreement_is_that_of_the_libraries(run: Path, judged: Judged) -> None:
    ada, ben = [5.0, 3.0, 2.0, 3.6, 1.0, 0.0], [4.0, 4.0, 1.0, 5.0, 2.0, 3.0]
    lines = [f"Ada,{name},{score},3,3,{5 - score}\n" for name, score in zip(JUDGE, ada, strict=True)]
    lines += [f"Ben,{name},{score},3,3,\n" for name, score in zip(JUDGE, ben, strict=True)]
    found = agreement(judged, read_scorings(_file(run, HEAD + "".join(lines)), judged))
    assert list(found["agreement"]) == ["judge and people", "judge and Ada", "judge and Ben", "Ada and Ben"]
    own, people = list(JUDGE.values()), [(a + b) / 2 for a, b in zip(ada, ben, strict=True)]
    for name, first, second in (
        ("judge and people", own, people),
        ("judge and Ada", own, ada),
        ("Ada and Ben", ada, ben),
    ):
        one = found["agreement"][name]["PR"]
        bands = [band(x) for x in first], [band(x) for x in second]
        assert one["spearman"]["value"] == pytest.approx(spearmanr(first, second).statistic)
        assert one["kappa"] == pytest.approx(cohen_kappa_score(*bands, labels=[0, 1, 2]))
        assert one["kappa_quadratic"] == pytest.approx(cohen_kappa_score(*bands, labels=[0, 1, 2], weights="quadratic"))
    flat = found["agreement"]["judge and people"]["CC"]
    assert flat["spearman"]["value"] is None and flat["kappa"] is None  # all say 3 throughout
    assert found["agreement"]["judge and people"]["TR"]["spearman"]["missing"] == 1
    assert found["agreement"]["judge and Ben"]["TR"]["spearman"]["value"] is None
    assert found["scored"] == {"Ada": 6, "Ben": 6}


def test_it_is_shown(run: Path) -> None:
    text = HEAD + "".join(f"Ada,{name},{score},{score},3,3\n" for name, score in JUDGE.items())
    said = run_command("evaluate", "human", "agree", run, "--scores", _file(run, text), "--out", run / "agreement.json")
    assert (
        "judge and people: 6 conversations" in said and "PR      Spearman 1.00" in said and "CC      Spearman –" in said
    )
    assert json.loads((run / "agreement.json").read_text())["agreement"]["judge and Ada"]["PR"]["kappa"] == 1.0
