"""Two runs compared in both orders: who wins, and what a judge that looks at places or length is worth."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tests.evaluate.judge.judges import Judge, Request, talks
from tests.evaluate.judge.planted import MakeRun, Talks, command, hand_made, known, prist_talks, run_command
from tests.llm.loopback import Loopback, running

from miras.evaluate.judge.pair import Compared
from miras.evaluate.judge.spoilt import SPOILT
from miras.evaluate.judge.talks import Talk

TALK = Talk("a", (("Who?", "You."),), None, "a")


def _compared(server: Loopback, first: Path, second: Path, *more: str | Path) -> dict[str, Any]:
    out = first.parent / f"{first.name} {second.name}.json"
    run_command(*command(server, "judge-pair", first, second, "--out", out, *more))
    report: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return report


def _worse(told: Talks, last: int) -> dict[str, list[str]]:
    """Answers, those of the first `last` conversations wrong."""
    return {
        name: ["Who knows?" if number < last else answer for _, answer in rounds]
        for number, (name, rounds) in enumerate(told.items())
    }


@pytest.mark.parametrize(
    ("forward", "backward", "winner", "flips"),
    [
        ("A", "B", "first", False),
        ("B", "A", "second", False),
        ("A", "A", "tie", True),
        ("B", "B", "tie", True),
        ("tie", "tie", "tie", False),
        ("A", "tie", "tie", False),
        ("tie", "A", "tie", False),
        (None, "A", None, None),
        ("tie", None, None, None),
    ],
)
def test_a_win_needs_both_orders(forward: Any, backward: Any, winner: str | None, flips: bool | None) -> None:
    compared = Compared(TALK, TALK, forward, backward)
    assert compared.winner == winner and compared.flips is flips


def test_the_better_run_wins_where_it_is_better(make_run: MakeRun) -> None:
    told = hand_made(9)
    good, bad = make_run("good", told), make_run("bad", told, _worse(told, 6))
    with running(Loopback(Judge(known(told)))) as server:
        report = _compared(server, good, bad)
        turned = _compared(server, bad, good)
        assert server.answered.total() == 2 * (6 * 2 + 3)  # where both say the same, both orders are one question
    assert report["wins"] == {"first": 6, "second": 0, "tie": 3}
    assert turned["wins"] == {"first": 0, "second": 6, "tie": 3}
    rate = report["win_rate"]["first"]
    assert rate["value"] == pytest.approx(2 / 3) and rate["low"] < 2 / 3 < rate["high"] and rate["n"] == 9
    assert report["position"]["flips"]["value"] == 0 and report["position"]["biased"] is False
    assert report["position"]["first_place"]["value"] == 0.5
    assert report["first"]["model"] == "good" and report["counts"]["asked"] == 18


@pytest.mark.parametrize(("always", "share"), [("A", 1.0), ("B", 0.0)])
def test_a_judge_that_prefers_a_place_decides_nothing(make_run: MakeRun, always: str, share: float) -> None:
    told = hand_made(9)
    good, bad = make_run("good", told), make_run("bad", told, _worse(told, 6))
    with running(Loopback(Judge(known(told), always=always))) as server:
        report = _compared(server, good, bad)
    assert report["wins"] == {"first": 0, "second": 0, "tie": 9}
    position = report["position"]
    assert position["flips"]["value"] == 1.0 and position["biased"] is True
    assert position["first_place"]["value"] == share


def test_a_judge_that_prefers_length_is_seen(make_run: MakeRun) -> None:
    told = hand_made(8)
    said = {name: [f"{answer} Indeed so, one may say." for _, answer in rounds] for name, rounds in told.items()}
    short, long = make_run("short", told), make_run("long", told, said)
    with running(Loopback(Judge(known(told), long=0.01))) as server:
        report = _compared(server, short, long)
    assert report["wins"]["second"] == 8 and report["length"]["longer_wins"]["value"] == 1.0


def test_a_verdict_that_is_missing_is_counted(make_run: MakeRun) -> None:
    told = hand_made(4)

    def reply(request: Request) -> str:
        first = talks(request)[0]
        if "place 2" in first[0][0] and first[0][1] != "Who knows?":
            return '{"reason": "", "verdict": "C"}'
        return Judge(known(told))(request)

    good, bad = make_run("good", told), make_run("bad", told, _worse(told, 4))
    with running(Loopback(reply)) as server:
        report = _compared(server, good, bad)
    assert report["counts"]["missing"] == 1 and report["counts"]["missing_by_rule"] == {"schema": 1}
    assert report["wins"] == {"first": 3, "second": 0, "tie": 0}
    assert report["win_rate"]["first"]["n"] == 3 and report["win_rate"]["first"]["missing"] == 1
    assert [one["winner"] for one in report["dialogues"]] == ["first", "first", None, "first"]


def test_what_both_answer_is_compared(make_run: MakeRun) -> None:
    told = hand_made(6)
    every, few = make_run("all", told), make_run("few", {name: told[name] for name in ("talk 3", "talk 5")})
    with running(Loopback(Judge(known(told)))) as server:
        report = _compared(server, every, few)
        assert [one["id"] for one in report["dialogues"]] == ["talk 3", "talk 5"] and report["wins"]["tie"] == 2
        other = make_run("other", {"talk 3": told["talk 4"]})
        said = run_command(*command(server, "judge-pair", every, other, "--out", every / "o.json"), code=2)
        assert "other questions under the id 'talk 3'" in " ".join(said.split())
        strange = make_run("strange", {"mine": told["talk 4"]})
        said = run_command(*command(server, "judge-pair", every, strange, "--out", every / "o.json"), code=2)
        assert "no case in common" in " ".join(said.split())


def test_what_was_answered_is_not_asked_again(make_run: MakeRun) -> None:
    told = hand_made(9)
    good, bad = make_run("good", told), make_run("bad", told, _worse(told, 9))
    out = good.parent / "good bad.json"
    with running(Loopback(Judge(known(told)))) as server:
        words = command(server, "judge-pair", good, bad, "--out", out, "--budget-tokens", "4500", "--at-once", "1")
        assert "the same command goes on from here" in " ".join(run_command(*words, code=2).split())
        assert not out.exists() and 0 < server.answered.total() < 18
        report = _compared(server, good, bad)
        assert server.answered.total() == 18 and report["wins"]["first"] == 9
        assert _compared(server, good, bad) == report and server.answered.total() == 18


@pytest.mark.parametrize("kind", ["foreign", "emptied"])
def test_real_conversations_win_against_spoilt_ones(make_run: MakeRun, shared_prist: Path, kind: str) -> None:
    told = prist_talks(shared_prist, 20)
    plain = [Talk(name, tuple(rounds), None, name) for name, rounds in told.items()]
    said = {}
    for talk in plain:
        spoilt = SPOILT[kind](talk, plain, random.Random(0))
        assert spoilt is not None
        said[talk.id] = list(spoilt.answers)
    true, worse = make_run("true", told), make_run(kind, told, said)
    with running(Loopback(Judge(known(told)))) as server:
        report = _compared(server, worse, true)
    assert report["wins"] == {"first": 0, "second": 20, "tie": 0}
