"""Judging against a server: scores that are known, judges that fail in every known way, and runs that are killed."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.evaluate.judge.judges import BROKEN, Judge, Request, asked, broken, lenient, order, scores
from tests.evaluate.judge.planted import (
    MakeRun,
    Talks,
    command,
    hand_made,
    judged,
    known,
    prist_talks,
    run_command,
)
from tests.llm.loopback import FAULTS, Loopback, running

from miras.llm.store import Store

ALL = ("--check", "order", "--check", "padding", "--check", "planted")


def _half_wrong(talks: Talks) -> dict[str, list[str]]:
    """Answers of which the first half of the conversations has none right."""
    half = list(talks)[: len(talks) // 2]
    return {name: ["Who knows?" if name in half else answer for _, answer in talks[name]] for name in talks}


def test_scores_are_those_that_the_judge_gave(make_run: MakeRun) -> None:
    talks = hand_made(8)
    run = make_run("half", talks, _half_wrong(talks))
    with running(Loopback(Judge(known(talks)))) as server:
        report = judged(server, run)
    assert [one["overall"] for one in report["dialogues"]] == [0.0] * 4 + [5.0] * 4
    for column in ("PR", "LC", "CC", "TR", "overall"):
        figure = report["scores"][column]
        assert figure["value"] == 2.5 and figure["n"] == 8 and figure["missing"] == 0 and figure["spread"] == 0
        assert 0 < figure["low"] < 2.5 < figure["high"] < 5
    assert report["counts"] == {
        "asked": 40, "unparsable": 0, "asked_again": 0, "missing": 0, "missing_by_rule": {}, "wrong_totals": 0
    }  # fmt: skip
    assert report["temperature"] == 1.0 and report["repeats"] == 5 and report["judge"] == "a judge"
    assert report["images"] == {"shown": 0, "not_shown": 8, "longest_side": None}


def test_what_the_server_refuses_is_missing_and_counted(make_run: MakeRun) -> None:
    talks = hand_made(4)
    run = make_run("true", talks)
    filtered = list(talks)[2]
    with running(Loopback(Judge(known(talks)), rejects=f"goal of {filtered}")) as server:
        report = judged(server, run, "--at-once", "1")
    overall = {one["id"]: one["overall"] for one in report["dialogues"]}
    assert overall == {name: None if name == filtered else 5.0 for name in talks}
    assert report["scores"]["overall"]["missing"] == 1 and report["reply_form"] == "json_schema"
    counts = report["counts"]
    assert counts["missing_by_rule"] == {"refused": 5} and counts["missing"] == 5 and counts["unparsable"] == 0


def test_repeats_are_requests_of_their_own(make_run: MakeRun) -> None:
    talks = hand_made(3)
    run = make_run("true", talks)
    with running(Loopback(Judge(known(talks), noise=0.5), seen=[])) as server:
        report = judged(server, run, "--seed", "7")
        assert server.seen is not None and sorted({one["seed"] for one in server.seen}) == [7, 8, 9, 10, 11]
    for one in report["dialogues"]:
        values = [repeat["PR"] for repeat in one["repeats"]]
        assert len(set(values)) == 5 and one["PR"] == pytest.approx(sum(values) / 5)
        variance = sum((value - one["PR"]) ** 2 for value in values) / 4
        assert one["spread"]["PR"] == pytest.approx(variance**0.5)
    with running(Loopback(Judge(known(talks), noise=0.5), refuses=("seed",))) as server:
        again = judged(server, make_run("no seeds", talks), "--seed", "7")
        assert server.answered.total() == 15 and not again["seeds_sent"]
    assert all(one["spread"]["PR"] == 0 for one in again["dialogues"])  # the judge had nothing to tell them apart by


def test_a_lenient_judge_is_shown_as_one(make_run: MakeRun) -> None:
    talks = hand_made(12)
    with running(Loopback(lenient)) as server:
        report = judged(server, make_run("half", talks, _half_wrong(talks)), *ALL, "--repeats", "2")
    assert report["scores"]["at_top"] == 1.0 and report["scores"]["overall"]["value"] == 5.0
    assert report["length"]["spearman"]["value"] is None  # scores that never change rank nothing
    planted = report["checks"]["planted"]
    assert planted["told_apart"] is False
    assert [planted[name]["ties"] for name in ("foreign", "emptied")] == [12, 12]
    assert report["checks"]["order"]["biased"] is False and report["checks"]["padding"]["biased"] is False


def test_a_good_judge_passes_every_check(make_run: MakeRun) -> None:
    talks = hand_made(12)
    with running(Loopback(Judge(known(talks), noise=0.2))) as server:
        report = judged(server, make_run("true", talks), *ALL)
        assert report["counts"]["asked"] == 12 * 5 + 12 * 3 + 12 + 12 * 4
        assert server.answered.total() == report["counts"]["asked"] - 12  # the true answers are those of the run
    order_, padding, planted = (report["checks"][name] for name in ("order", "padding", "planted"))
    assert order_["biased"] is False and padding["biased"] is False and planted["told_apart"] is True
    assert planted["shuffled"]["higher"]["value"] == 1.0 and planted["emptied"]["above"]["value"] > 4.5
    assert padding["times_longer"] > 3 and abs(padding["rise"]["value"]) < 0.1


def test_a_judge_that_favours_what_is_named_first_is_found(make_run: MakeRun) -> None:
    talks = hand_made(12)
    with running(Loopback(Judge(known(talks), first=0.8))) as server:
        check = judged(server, make_run("true", talks), "--check", "order")["checks"]["order"]
    assert check["biased"] is True
    # above the mean over the four places: 0.8 - 0.8 / 4 at the first, -0.8 / 4 at each other
    assert [one["value"] for one in check["by_place"]] == pytest.approx([0.6, -0.2, -0.2, -0.2])


def test_a_judge_that_favours_length_is_found(make_run: MakeRun) -> None:
    talks = hand_made(12)
    said = {name: [answer + " indeed" * number for _, answer in rounds] for number, (name, rounds) in
            enumerate(talks.items())}  # fmt: skip
    with running(Loopback(Judge(known(talks), long=0.004))) as server:
        report = judged(server, make_run("long", talks, said), "--check", "padding")
    assert report["length"]["spearman"]["value"] > 0.9 and report["length"]["spearman"]["low"] > 0.5
    check = report["checks"]["padding"]
    assert check["biased"] is True
    rise = 0.004 * (check["times_longer"] - 1) * report["length"]["words"]["value"]
    assert check["rise"]["value"] == pytest.approx(rise, abs=0.01)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_broken_replies_are_asked_again_and_counted(make_run: MakeRun, times: int) -> None:
    talks = hand_made(30)
    with running(Loopback(broken(Judge(known(talks)), times))) as server:
        report = judged(server, make_run("true", talks), "--repeats", "1")
    counts = report["counts"]
    assert counts["asked"] == 30 and counts["unparsable"] == 30 * times
    missing = 30 if times == 3 else 0
    assert counts["missing"] == missing == sum(counts["missing_by_rule"].values())
    assert counts["asked_again"] == 30 * times - missing
    assert report["scores"]["PR"]["value"] == (None if missing else 5.0)
    assert report["scores"]["PR"]["missing"] == missing
    assert all(one["overall"] == (None if missing else 5.0) for one in report["dialogues"])


@pytest.mark.parametrize("kind", BROKEN)
def test_no_broken_reply_becomes_a_score(make_run: MakeRun, kind: str) -> None:
    with running(Loopback(lambda request: BROKEN[kind])) as server:
        report = judged(server, make_run("true", hand_made(2)), "--repeats", "2")
    assert report["counts"]["missing"] == 4 and report["counts"]["unparsable"] == 12
    assert all(one["repeats"] == [None, None] for one in report["dialogues"])


def test_one_repeat_of_five_may_be_missing(make_run: MakeRun) -> None:
    talks = hand_made(3)

    def reply(request: Request) -> str:
        return "no" if request["seed"] == 2 else Judge(known(talks))(request)

    with running(Loopback(reply)) as server:
        report = judged(server, make_run("true", talks))
    assert [len([x for x in one["repeats"] if x is None]) for one in report["dialogues"]] == [1, 1, 1]
    assert [one["overall"] for one in report["dialogues"]] == [5.0] * 3
    assert report["counts"]["missing"] == 3 and report["scores"]["overall"]["missing"] == 0


@pytest.mark.parametrize(("total", "wrong"), [(12.0, 0), (12.04, 0), (12.2, 6), (25.0, 6), (-1.0, 6)])
def test_a_wrong_total_is_counted_and_never_used(make_run: MakeRun, total: float, wrong: int) -> None:
    with running(Loopback(lambda request: scores(dict.fromkeys(order(request), 3.0), total))) as server:
        report = judged(server, make_run("true", hand_made(3)), "--repeats", "2")
    assert report["counts"]["wrong_totals"] == wrong and report["scores"]["overall"]["value"] == 3.0


def test_faults_of_the_server_change_nothing(make_run: MakeRun) -> None:
    talks = hand_made(8)
    with running(Loopback(Judge(known(talks), noise=0.5))) as server:
        calm = judged(server, make_run("calm", talks))
    with running(Loopback(Judge(known(talks), noise=0.5), faults=dict.fromkeys(FAULTS, 0.05))) as server:
        rough = judged(server, make_run("rough", talks), "--at-once", "40")
        assert len([name for name, struck in server.struck.items() if struck]) > 3
    assert rough["scores"] == calm["scores"] and rough["dialogues"] == calm["dialogues"]


def test_the_judge_sees_the_image_where_there_is_one(make_run: MakeRun, tmp_path: Path) -> None:
    Image.new("RGB", (600, 300), "navy").save(tmp_path / "a.png")
    run = make_run("seen", hand_made(2), images=tmp_path, image="a.png")
    with running(Loopback(lenient, seen=[])) as server:
        report = judged(server, run, "--repeats", "1", "--image-side", "128")
        unseen = judged(server, run, "--repeats", "1", "--no-show-images")
        assert server.seen is not None
        [first, _, third, _] = [one["messages"][-1]["content"] for one in server.seen]
    assert first[0]["image_url"]["url"].startswith("data:image/jpeg;base64,") and len(third) == 1
    assert report["images"] == {"shown": 2, "not_shown": 0, "longest_side": 128}
    assert unseen["images"] == {"shown": 0, "not_shown": 2, "longest_side": None}
    (tmp_path / "a.png").unlink()
    said = run_command(*command(server, "judge", run), code=2)
    assert "no image at" in said and "--no-show-images" in " ".join(said.split())


def test_only_what_another_file_holds_is_judged(make_run: MakeRun) -> None:
    talks = hand_made(6)
    few = make_run("few", {name: talks[name] for name in ("talk 4", "talk 1")})
    with running(Loopback(lenient)) as server:
        report = judged(server, make_run("all", talks), "--among", few / "cases.jsonl")
        assert [one["id"] for one in report["dialogues"]] == ["talk 1", "talk 4"]
        said = run_command(*command(server, "judge", few, "--among", few.parent / "all" / "cases.jsonl"), code=2)
    assert "answers 2 of the 6 cases" in " ".join(said.split())


def test_what_was_answered_is_not_asked_again(make_run: MakeRun) -> None:
    talks = hand_made(6)
    run = make_run("true", talks)
    with running(Loopback(broken(Judge(known(talks), noise=0.3), 1))) as server:
        report = judged(server, run, *ALL)
        requests = sum(server.requests.values())
        assert judged(server, run, *ALL) == report and sum(server.requests.values()) == requests
        more = judged(server, run, *ALL, "--repeats", "6")
        assert sum(server.requests.values()) == requests + 2 * 6  # each is broken once
        assert more["dialogues"][0]["repeats"][:5] == report["dialogues"][0]["repeats"]
        judged(server, run, "--temperature", "0.5")
        assert sum(server.requests.values()) == requests + 2 * 6 + 2 * 30


def test_a_budget_ends_it_without_a_report(make_run: MakeRun) -> None:
    run = make_run("true", hand_made(6))
    with running(Loopback(lenient)) as server:
        said = run_command(*command(server, "judge", run, "--budget-tokens", "9000", "--at-once", "2"), code=2)
        assert "raise the limit" in " ".join(said.split()) and not (run / "judge.json").exists()
        assert "the same command goes on from here" in " ".join(said.split())
        before = server.answered.total()
        report = judged(server, run)
        assert 0 < before < 30 and server.answered.total() == 30 and report["counts"]["asked"] == 30


def _killed(words: list[str], server: Loopback, run: Path, wait: float, how: signal.Signals) -> int:
    """Starts the command, ends it a while after its first request, and says what was asked and not kept."""
    before = sum(server.requests.values())
    with Store(run / "judge.sqlite") as store:
        kept = store.spent()[0]
    whole = [sys.executable, "-c", "from miras.cli import app; app()", *words]
    process = subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while sum(server.requests.values()) == before and process.poll() is None:
        time.sleep(0.01)
    time.sleep(wait)
    assert process.poll() is None, "it ended before it was killed"
    process.send_signal(how)
    assert process.wait(30) == (130 if how == signal.SIGINT else -how)
    time.sleep(0.1)  # what was sent arrives
    with Store(run / "judge.sqlite") as store:
        return sum(server.requests.values()) - before - (store.spent()[0] - kept)


@pytest.mark.parametrize("kills", [2, pytest.param(8, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_killed_and_resumed_it_equals_an_undisturbed_run(make_run: MakeRun, kills: int) -> None:
    talks, rng, at_once = hand_made(10 * kills), random.Random(kills), 4
    run = make_run("killed", talks)
    with running(Loopback(Judge(known(talks), noise=0.5), latency=0.05)) as server:
        words = [*command(server, "judge", run, *ALL), "--at-once", str(at_once)]
        lost = 0
        for number in range(kills):
            how = signal.SIGKILL if number else signal.SIGINT
            lost += _killed(words, server, run, rng.uniform(0.05, 0.5), how)
            assert not (run / "judge.json").exists()
        report: Any = judged(server, run, *ALL)
        repeated = sum(count - 1 for count in server.requests.values())
        assert repeated <= lost <= kills * at_once
        calm = judged(server, make_run("calm", talks), *ALL)
    for one in (report, calm):
        del one["predictions_sha256"], one["model"]
    assert report == calm


def test_a_judge_ranks_real_conversations_above_spoilt_ones(make_run: MakeRun, shared_prist: Path) -> None:
    talks = prist_talks(shared_prist, 30)
    with running(Loopback(Judge(known(talks), noise=0.4), seen=[])) as server:
        report = judged(server, make_run("prist", talks), "--check", "planted", "--repeats", "2")
        assert server.seen is not None and not any("[SEG]" in asked(one) for one in server.seen)
    planted = report["checks"]["planted"]
    assert planted["told_apart"] is True
    for name in ("shuffled", "foreign", "emptied"):
        assert planted[name]["higher"]["n"] == 30 and planted[name]["higher"]["value"] == 1.0
