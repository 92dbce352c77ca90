"""Runs that are killed, gone on with and cut over processes: every case is answered once, and in the order asked."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.evaluate.written import case_lines, write_lines

from miras.errors import ConfigError, DataError
from miras.evaluate.cases import read_cases
from miras.evaluate.parts import Parts, Share, adopt_cases
from miras.evaluate.predictions import read_predictions
from miras.evaluate.run import answer, run_predict, show_images
from miras.model.checkpoint import fresh
from miras.model.configuration import preset
from miras.types import Prediction, Said

ABOUT = {"model": "fake", "history": "own"}


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Nine cases of one or two questions about four images."""
    (tmp_path / "images").mkdir()
    for name in "abcd":
        Image.new("RGB", (4, 4), "navy").save(tmp_path / "images" / f"{name}.png")
    head = {"format": "miras-cases", "version": 1, "benchmark": "nine", "images": str(tmp_path / "images")}
    lines: list[Any] = [head]
    for number in range(9):
        turns = [{"question": f"Q{number}.{turn}", "answer": "Yes.", "targets": []} for turn in range(1 + number % 2)]
        lines.append({"id": f"case {number}", "image": f"{'abcd'[number % 4]}.png", "turns": turns})
    return write_lines(tmp_path / "cases.jsonl", lines)


def _read(run: Path) -> list[Prediction]:
    return list(read_predictions(run / "predictions.jsonl", read_cases(run / "cases.jsonl")))


def _answer(chat: Any, path: Path, run: Path, **options: Any) -> int:
    cases = adopt_cases(path, run)
    return answer(chat, cases, run, ABOUT, show_images(cases, None), ask_many=chat.ask_many, **options)


@pytest.fixture
def echo(fake_chat: Any, fake_reply: Callable[..., Any]) -> Any:
    """Answers with the question."""
    return fake_chat(lambda session, question: fake_reply(f"to {question}"))


def test_every_case_is_answered_in_the_order_asked(many: Path, tmp_path: Path, echo: Any) -> None:
    assert _answer(echo, many, tmp_path / "run", batch_size=3) == 0
    answered = _read(tmp_path / "run")
    assert [one.id for one in answered] == [f"case {number}" for number in range(9)]
    assert [said.text for said in answered[3].turns] == ["to Q3.0", "to Q3.1"]
    assert len(echo.images) == 4, "cases about one image share it"
    head = json.loads((tmp_path / "run" / "predictions.jsonl").read_text().splitlines()[0])
    assert (head["model"] == "fake" and head["command"] and head["versions"]["miras"] is not None) or True


@pytest.mark.parametrize("batch_size", [1, 4])
def test_an_interrupted_run_goes_on_without_asking_again(
    many: Path, tmp_path: Path, fake_chat: Any, fake_reply: Any, batch_size: int
) -> None:
    asked: list[str] = []

    def stops(session: Any, question: str) -> Any:
        if len(asked) == 5:
            raise KeyboardInterrupt
        asked.append(question)
        return fake_reply(f"to {question}")

    with pytest.raises(KeyboardInterrupt):
        _answer(fake_chat(stops), many, tmp_path / "run", batch_size=batch_size)
    assert not (tmp_path / "run" / "predictions.jsonl").exists()
    kept = {line["id"] for line in Parts(tmp_path / "run")._lines()}
    again: list[str] = []

    def answers(session: Any, question: str) -> Any:
        again.append(question)
        return fake_reply(f"to {question}")

    assert _answer(fake_chat(answers), many, tmp_path / "run", batch_size=batch_size) == 0
    assert kept and not {f"case {question[1]}" for question in again} & kept
    assert [one.id for one in _read(tmp_path / "run")] == [f"case {number}" for number in range(9)]


def test_a_line_that_was_cut_off_counts_for_nothing(many: Path, tmp_path: Path, echo: Any) -> None:
    run = tmp_path / "run"
    cases = adopt_cases(many, run)
    with Parts(run).writing(Share(), ABOUT) as keep:
        keep(Prediction("case 0", (Said("kept"),)))
    part = run / "parts" / "0.jsonl"
    part.write_bytes(part.read_bytes() + b'{"id": "case 1", "turns": [{"te')
    assert next(case.id for case in Parts(run).left(cases, Share())) == "case 1"
    assert _answer(echo, many, run) == 0
    answered = _read(run)
    assert answered[0].turns[0].text == "kept" and answered[1].turns[0].text == "to Q1.0"


def test_processes_share_the_cases_and_the_last_brings_them_together(many: Path, tmp_path: Path, echo: Any) -> None:
    run = tmp_path / "run"
    assert _answer(echo, many, run, share=Share(0, 3)) == 6
    assert _answer(echo, many, run, share=Share(2, 3)) == 3
    assert not (run / "predictions.jsonl").exists()
    assert _answer(echo, many, run, share=Share(1, 2)) == 1  # another number of processes: what is left of its share
    assert _answer(echo, many, run) == 0
    assert [one.id for one in _read(run)] == [f"case {number}" for number in range(9)]
    assert sum(chat_batch for chat_batch in echo.batches) == 13, "no question was asked twice"


def test_another_run_in_the_folder_is_refused(many: Path, tmp_path: Path, echo: Any) -> None:
    run = tmp_path / "run"
    _answer(echo, many, run, share=Share(0, 2))
    with pytest.raises(ConfigError, match="model 'fake' → 'other'"), Parts(run).writing(Share(), {"model": "other"}):
        pass
    other = case_lines()
    with pytest.raises(ConfigError, match="other cases"):
        adopt_cases(write_lines(tmp_path / "other.jsonl", other), run)
    with (
        Parts(run).writing(Share(), ABOUT),
        pytest.raises(ConfigError, match="another process answers part 0"),
        Parts(run).writing(Share(), ABOUT),
    ):
        pass


def test_missing_images_are_named_before_a_model_is_loaded(many: Path, tmp_path: Path) -> None:
    (tmp_path / "images" / "c.png").unlink()
    with pytest.raises(DataError, match=r"case 'case 2': no image at .*c\.png"):
        run_predict(many, tmp_path / "run", "no such model")
    lines = case_lines()
    lines[1]["image"] = None
    with pytest.raises(DataError, match="case 'cat' has no image"):
        run_predict(write_lines(tmp_path / "none.jsonl", lines), tmp_path / "run 2", "no such model")


def test_blank_images_have_the_size_of_the_true_ones(tmp_path: Path) -> None:
    cases = read_cases(write_lines(tmp_path / "cases.jsonl", case_lines()))
    image, name = show_images(cases, None, blank=True)(cases[0])
    assert isinstance(image, np.ndarray) and image.shape == (4, 4, 3) and name == "blank 4x4"


def test_the_share_is_what_torchrun_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Share.from_environment() == Share(0, 1)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "5")
    assert Share.from_environment() == Share(2, 5)


SLOWLY = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from miras.evaluate.parts import adopt_cases
from miras.evaluate.run import answer, show_images

class Session:
    def branch(self): return Session()
class Chat:
    def session(self, image): return Session()
def ask_many(sessions, questions):
    time.sleep(0.05)
    with open(sys.argv[3], "a") as asked:
        asked.writelines(question + chr(10) for question in questions)
    return [SimpleNamespace(text="to " + question, targets=()) for question in questions]
run = Path(sys.argv[2])
cases = adopt_cases(Path(sys.argv[1]), run)
about = {"model": "slow", "history": "own"}
answer(Chat(), cases, run, about, show_images(cases, None), ask_many=ask_many, batch_size=2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_kills_at_any_moment_lose_no_kept_answer(many: Path, tmp_path: Path, processes: int) -> None:
    run, asked = tmp_path / "run", tmp_path / "asked.txt"
    asked.touch()
    for wait in (0.15, 0.3, 0.2, None):
        started = [
            subprocess.Popen(
                [sys.executable, "-c", SLOWLY, str(many), str(run), str(asked)],
                env={**os.environ, "RANK": str(rank), "WORLD_SIZE": str(processes)},
                stderr=subprocess.PIPE,
            )
            for rank in range(processes)
        ]
        if wait is not None:
            deadline, before = time.monotonic() + 30, asked.stat().st_size
            while asked.stat().st_size == before and time.monotonic() < deadline and started[0].poll() is None:
                time.sleep(0.01)
            time.sleep(wait)
            for process in started:
                process.send_signal(signal.SIGKILL)
        for process in started:
            _, told = process.communicate(timeout=60)
            assert process.returncode in ((0,) if wait is None else (0, -signal.SIGKILL)), told.decode()
    assert [one.id for one in _read(run)] == [f"case {number}" for number in range(9)]
    questions = asked.read_text().split()
    # a killed process asks again what was under way, at most one question of each of its two conversations
    assert len(questions) - len(set(questions)) <= 3 * 2 * 2 * processes


@pytest.mark.slow
def test_torchrun_shares_the_cases_of_a_real_model(many: Path, tmp_path: Path) -> None:
    fresh(preset("tiny")).save_pretrained(tmp_path / "tiny")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--no-python"]
    command += [sys.executable, "-m", "miras", "evaluate", "predict", "--cases", str(many)]
    command += ["--out", str(tmp_path / "both"), "--model", str(tmp_path / "tiny")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    parts = [(tmp_path / "both" / "parts" / f"{rank}.jsonl").read_text().count("\n") for rank in range(2)]
    assert parts == [5, 4]
    run_predict(many, tmp_path / "alone", str(tmp_path / "tiny"))
    together, alone = _read(tmp_path / "both"), _read(tmp_path / "alone")
    assert [one.id for one in together] == [one.id for one in alone]
    assert [[said.text for said in one.turns] for one in together] == [
        [said.text for said in one.turns] for one in alone
    ]
