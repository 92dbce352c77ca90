"""Runs that are disturbed: faults of the server, kills and Ctrl-C change nothing, and nothing is asked twice."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.evaluate.baselines.boxer import answers_of, command, reply, run
from tests.evaluate.written import LEFT
from tests.llm.loopback import FAULTS, Loopback, running

from miras.data.masks import decode, encode
from miras.evaluate.cases import Case, write_cases
from miras.llm.store import Store
from miras.types import Dialogue, Target, Turn


def _many(folder: Path, count: int) -> Path:
    """Cases of three turns each, the last of which marks something, on one image of 8 x 8 pixels."""
    Image.new("RGB", (8, 8), "teal").save(folder / "x.png")
    mask = encode(decode(LEFT).repeat(2, 0).repeat(2, 1))
    asked = [("What is it?", "A thing."), ("Where?", "Left."), ("Mark it.", "[OBJ]thing[SEG]")]

    def case(index: int) -> Case:
        turns = [turn for question, answer in asked
                 for turn in (Turn("user", f"{question} ({index})"), Turn("assistant", answer))]  # fmt: skip
        return Case(f"case {index}", Dialogue(tuple(turns), (Target("thing", mask),), image="x.png"))

    write_cases(folder / "many.jsonl", {"benchmark": "many", "images": str(folder)}, map(case, range(count)))
    return folder / "many.jsonl"


def test_faults_change_nothing_and_what_is_finished_is_not_asked_again(tmp_path: Path) -> None:
    cases = _many(tmp_path, 25)
    faults = {name: 0.05 for name in FAULTS if name != "rules"}
    with running(Loopback(reply, faults=faults)) as server:
        run(*command(server, cases, tmp_path / "run"))
        assert {name for name, struck in server.struck.items() if struck} >= {"", "busy", "error"}
        assert sum(server.answered.values()) == 75
        asked, before = sum(server.requests.values()), (tmp_path / "run" / "predictions.jsonl").read_bytes()
        run(*command(server, cases, tmp_path / "run"))
        assert sum(server.requests.values()) == asked
    assert (tmp_path / "run" / "predictions.jsonl").read_bytes().split(b"\n")[1:] == before.split(b"\n")[1:]


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_killed_and_resumed_it_equals_an_undisturbed_run(kills: int, tmp_path: Path) -> None:
    at_once = 4
    with running(Loopback(reply, latency=0.05)) as server:
        cases = _many(tmp_path, 40 * kills)
        begun = command(server, cases, tmp_path / "killed", "--at-once", str(at_once))
        whole = [sys.executable, "-c", "from miras.cli import app; app()", *begun]
        in_flight = stored = 0
        for turn in range(kills):
            before = sum(server.requests.values())
            process = subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while sum(server.requests.values()) < before + 20 + 7 * turn:
                time.sleep(0.01)
                assert process.poll() is None, "it ended before it was killed"
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(0.2)  # what was sent arrives
            with Store(tmp_path / "killed" / "run.sqlite") as store:
                replies, _, _ = store.spent()
            in_flight += sum(server.requests.values()) - before - (replies - stored)  # asked and not kept
            stored = replies
            assert not (tmp_path / "killed" / "predictions.jsonl").exists()
        run(*begun)
        repeated = sum(count - 1 for count in server.requests.values())
        assert repeated <= in_flight <= kills * at_once
        assert len(server.requests) == 3 * 40 * kills
        run(*command(server, cases, tmp_path / "calm"))
    killed, calm = (answers_of(cases, tmp_path / name) for name in ("killed", "calm"))
    assert [_timeless(one) for one in killed] == [_timeless(one) for one in calm]


def _timeless(answer: Any) -> Any:
    return [(said.text, said.masks) for said in answer.turns]


def test_ctrl_c_keeps_what_is_answered(tmp_path: Path) -> None:
    cases = _many(tmp_path, 60)
    with running(Loopback(reply, latency=0.05)) as server:
        whole = [sys.executable, "-c", "from miras.cli import app; app()"]
        begun = [*whole, *command(server, cases, tmp_path / "run", "--at-once", "4")]
        with subprocess.Popen(begun, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while len(server.requests) < 40:
                time.sleep(0.01)
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in told and "the same command goes on from here" in told
    with Store(tmp_path / "run" / "run.sqlite") as store:
        assert 0 < len(store.finished()) < 60
        assert json.loads(store.note("settings") or "")["model"] == "boxer"
