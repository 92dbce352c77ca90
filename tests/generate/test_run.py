"""Runs: every count adds up, faults change nothing, and a killed run goes on where it ended."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.generate.seer import reply
from tests.llm.loopback import FAULTS, Loopback, running
from typer.testing import CliRunner

from miras.cli import app
from miras.data.prist import load, problems
from miras.generate.images import Picture
from miras.generate.run import Progress, teach_all
from miras.generate.teachers import Taught
from miras.llm.store import Store


def _command(server: Loopback, images: Path, out: Path, *more: str) -> list[str]:
    given = {"--teacher": "seer", "--server": server.url, "--images": str(images), "--out": str(out), "--timeout": "20"}
    return ["generate", *(word for pair in given.items() for word in pair), *more]


def _run(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


def _counts_add_up(out: Path, images: int) -> Mapping[str, Any]:
    report = json.loads((out / "report.json").read_text())
    records = json.loads((out / "dialogues.json").read_text())
    assert report["images"] == report["asked_for"] == images and report["dialogues"] == len(records)
    per_image = Counter(record["img_id"] for record in records)
    assert report["images_without_dialogue"] == images - len(per_image)
    with Store(out / "run.sqlite") as store:
        kept = list(store.items())
    rejected = [one for item in kept for one in item["rejected"]]
    assert sum(report["rejected"].values()) == len(rejected)
    for item in kept:
        early = [one for one in item["rejected"] if one["target"] is None]
        assert len(item["rejected"]) + len(item["records"]) in ((1,) if early else (2, 3, 4))
    assert not [problem for record in records for problem in problems(record)]
    assert len(load(out / "dialogues.json")) == len(records)
    return report


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_faults_leave_only_valid_dialogues(count: int, tmp_path: Path, make_images: Callable[[int], Path]) -> None:
    images = make_images(count)
    with running(Loopback(reply, faults=dict.fromkeys(FAULTS, 0.05))) as server:
        _run(*_command(server, images, tmp_path / "run", "--at-once", "32"))
        assert {name for name, struck in server.struck.items() if struck} == {"", *FAULTS}
    report = _counts_add_up(tmp_path / "run", count)
    assert report["asked_again_by_error"] > 0 and report["asked_again_by_rule"] > 0
    assert report["dialogues"] > 2 * count


def test_what_is_finished_is_not_done_again(
    server: Loopback, tmp_path: Path, make_images: Callable[[int], Path]
) -> None:
    images, out = make_images(9), tmp_path / "run"
    _run(*_command(server, images, out, "--limit", "5"))
    first = (out / "dialogues.json").read_bytes()
    asked = sum(server.requests.values())
    _run(*_command(server, images, out, "--limit", "5"))
    assert (out / "dialogues.json").read_bytes() == first and sum(server.requests.values()) == asked
    _run(*_command(server, images, out))
    _counts_add_up(out, 9)
    done = CliRunner().invoke(app, _command(server, images, out, "--seed", "1"))
    assert done.exit_code == 2 and "begun otherwise (seed 0 → 1); name another folder" in " ".join(done.output.split())


def test_a_budget_ends_a_run_and_keeps_what_is_done(
    server: Loopback, tmp_path: Path, make_images: Callable[[int], Path]
) -> None:
    images, out = make_images(30), tmp_path / "run"
    done = CliRunner().invoke(app, _command(server, images, out, "--at-once", "2", "--budget-tokens", "20000"))
    assert done.exit_code == 2 and "raise the limit and start again" in " ".join(done.output.split())
    report = json.loads((out / "report.json").read_text())
    assert 0 < report["images"] < 30 and report["prompt_tokens"] + report["reply_tokens"] <= 20000
    _run(*_command(server, images, out))
    _counts_add_up(out, 30)


def test_it_says_how_far_it_is() -> None:
    progress = Progress(images=10, before=2, done=4, start=time.monotonic() - 8)
    assert progress.rate == pytest.approx(0.5, rel=0.01) and progress.left == pytest.approx(8, rel=0.01)
    assert Progress(10, 0).left is None


def test_ctrl_c_is_heard_between_images(tmp_path: Path) -> None:
    class Endless:
        async def teach(self, picture: Picture) -> Taught:
            if picture.name == "50":
                signal.raise_signal(signal.SIGINT)
            return Taught(())

    pictures = [Picture(str(index), tmp_path) for index in range(10_000)]
    with Store(tmp_path / "run.sqlite") as store:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(teach_all(pictures, Endless(), store, at_once=4))
        assert 50 <= len(store.finished()) < 100


def test_ctrl_c_ends_a_run_with_its_summary(tmp_path: Path, make_images: Callable[[int], Path]) -> None:
    images = make_images(50)
    with running(Loopback(reply, latency=0.05)) as server:
        command = _command(server, images, tmp_path / "run", "--at-once", "8")
        whole = [sys.executable, "-c", "from miras.cli import app; app()", *command]
        with subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while len(server.requests) < 350:
                time.sleep(0.01)
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            said, told = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in told
    assert "the same command goes on from here" in told
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert 0 < report["images"] < 50 and f"images: {report['images']}\n" in said and report["requests"] >= 300
    assert len(json.loads((tmp_path / "run" / "dialogues.json").read_text())) == report["dialogues"]


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_killed_and_resumed_it_equals_an_undisturbed_run(
    kills: int, tmp_path: Path, make_images: Callable[[int], Path]
) -> None:
    images, rng, at_once = make_images(30 * kills), random.Random(kills), 8
    with running(Loopback(reply, latency=0.03)) as server:
        command = _command(server, images, tmp_path / "killed", "--at-once", str(at_once))
        whole = [sys.executable, "-c", "from miras.cli import app; app()", *command]
        in_flight = stored = 0
        for _ in range(kills):
            before = sum(server.requests.values())
            process = subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while sum(server.requests.values()) == before and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0.1, 1.0))
            assert process.poll() is None, "it ended before it was killed"
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(0.1)  # what was sent arrives
            with Store(tmp_path / "killed" / "run.sqlite") as store:
                replies, _, _ = store.spent()
            in_flight += sum(server.requests.values()) - before - (replies - stored)  # asked and not kept
            stored = replies
        _run(*command)
        repeated = sum(count - 1 for count in server.requests.values())
        assert repeated <= in_flight <= kills * at_once
        with Store(tmp_path / "killed" / "run.sqlite") as store:
            assert store.spent()[0] == len(server.requests)
        _run(*_command(server, images, tmp_path / "calm"))
    assert (tmp_path / "killed" / "dialogues.json").read_bytes() == (tmp_path / "calm" / "dialogues.json").read_bytes()
    _counts_add_up(tmp_path / "killed", 30 * kills)
