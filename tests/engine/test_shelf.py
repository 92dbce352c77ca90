"""What an engine keeps: within its bounds, on disk when memory is short, and over the end of its process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from miras import tokens
from miras.data.masks import encode
from miras.engine.corrections import Correction
from miras.engine.engine import Engine
from miras.engine.kept import digest_of
from miras.errors import EngineBusy, SessionGone

QUESTIONS = ("What is it?", "Mark the wheels.", "And now?")
KILLED = """
import sys, time
from pathlib import Path
from tests.model.conftest import new_model, new_picture
from miras.engine.engine import Engine
engine = Engine(new_model(), Path(sys.argv[1]))
name = engine.open(new_picture(50, 80))
engine.ask(name, "What is it?", limit=4).reply()
print(name, flush=True)
for _ in engine.ask(name, "Mark the wheels.", limit=900):
    time.sleep(0.05)
"""


def answers(engine: Engine, names: list[str], question: str) -> list[str]:
    return [engine.ask(name, question, limit=5).reply().text for name in names]


@pytest.mark.parametrize("memory", [0, 300_000, 2**31], ids=["none", "some", "all"])
def test_put_aside_sessions_go_on_as_they_were(start: Any, picture: Any, alone: Any, memory: int) -> None:
    engine = start(memory=memory)
    images = [picture(50, 80, seed) for seed in range(3)]
    names = [engine.open(image) for image in images]
    said = [answers(engine, names, question) for question in QUESTIONS]
    for seed, image in enumerate(images):
        assert [turn[seed] for turn in said] == [reply.text for reply in alone(image, QUESTIONS, 5)]
    figures = engine.figures()
    assert figures["sessions"] == 3 and (figures["sessions_put_aside"] > 0) == (memory == 0)
    assert figures["bytes"] <= memory and figures["bytes_limit"] == memory
    engine.undo(names[0])
    twin = engine.branch(names[1], 2)
    assert answers(engine, [names[0], twin], "And now?") == said[2][:2]
    assert np.array_equal(engine.image(names[2]), images[2])
    assert [turn.text for turn in engine.view(names[2]).turns[::2]] == list(QUESTIONS)


def test_masks_survive_being_put_aside(start: Any, tiny: Any, picture: Any) -> None:
    engine = start(memory=0)
    name = engine.open(picture(50, 80))
    size, seg = tiny.language.base_size + len(tokens.SPECIAL), tiny.processor.encoder.seg_id
    engine._desk._batch._barred = [token for token in range(size) if token != seg]
    reply = engine.ask(name, "Mark it.", limit=2).reply()
    assert reply.targets and engine._shelf.get(name).session is None
    again = engine.view(name).replies[0]
    assert again is not reply and again.text == reply.text
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(again.targets, reply.targets, strict=True))


def test_what_is_shared_is_counted_once(start: Any, picture: Any) -> None:
    engine = start()
    name = engine.open(picture(50, 80))
    answers(engine, [name], "What is it?")
    before = engine.figures()["bytes"]
    twin, same = engine.branch(name), engine.open(picture(50, 80))
    assert before > 0 and engine.figures()["bytes"] == before
    sessions = [engine._shelf.get(each).session for each in (name, twin, same)]
    assert len({id(session.memory) for session in sessions if session}) == 1
    other = engine.open(picture(50, 81))
    assert engine.figures()["bytes"] == before + engine.image(other).nbytes


def test_keys_and_values_go_first(start: Any, picture: Any) -> None:
    engine = start(memory=200_000)
    names = [engine.open(picture(50, 80, seed)) for seed in range(4)]
    answers(engine, names, "What is it?")
    sessions = [engine._shelf.get(name).session for name in names]
    assert all(sessions) and [session.computed for session in sessions if session] == [False, False, False, True]


def test_a_new_engine_finds_every_turn(start: Any, picture: Any, tmp_path: Path) -> None:
    engine = start()
    names = [engine.open(picture(50, 80, seed)) for seed in range(2)]
    said = [answers(engine, names, question) for question in QUESTIONS[:2]]
    correction = Correction(None, "[OBJ]roof[SEG]", (("roof", encode(np.ones((50, 80), dtype=bool))),))
    engine.correct(names[0], 1, correction)
    twin, closed = engine.branch(names[1], 1), engine.open(picture(30, 30))
    engine.close(closed)
    engine.stop()
    images = [(tmp_path / name / "image.png").stat().st_ino for name in (names[1], twin)]
    assert images[0] == images[1] and len(list(tmp_path.iterdir())) == 3
    later = start()
    assert later.view(names[0]).corrections == {1: correction} and later.view(names[0]).size == (50, 80)
    assert [[reply.text for reply in later.view(name).replies] for name in names] == [
        [turn[seed] for turn in said] for seed in range(2)
    ]
    assert answers(later, [twin], QUESTIONS[1]) == said[1][1:]
    with pytest.raises(SessionGone):
        later.view(closed)


def test_a_killed_process_keeps_every_finished_turn(start: Any, picture: Any, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    engine = start()
    view = engine.view(name)
    assert [turn.text for turn in view.turns] == ["What is it?", view.replies[0].text]
    fresh = engine.open(picture(50, 80))
    assert answers(engine, [fresh], "What is it?")[0].startswith(view.replies[0].text)


SPOILS = {
    "cut text": lambda place: (place / "session.json").write_text('{"ids": [1, 2'),
    "no text": lambda place: (place / "session.json").unlink(),
    "a list": lambda place: (place / "session.json").write_text("[]"),
    "no turns": lambda place: (place / "session.json").write_text("{}"),
    "cut image": lambda place: os.truncate(place / "image.png", 40),
    "no image": lambda place: (place / "image.png").unlink(),
    "turns": lambda place: changed(place / "session.json", turns=[]),
    "corrections": lambda place: changed(place / "session.json", corrections=[1]),
}


def changed(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS.keys())
def test_broken_folders_are_left_out(start: Any, picture: Any, tmp_path: Path, caplog: Any, spoil: Any) -> None:
    engine = start()
    names = [engine.open(picture(50, 80, seed)) for seed in range(2)]
    answers(engine, names, "A secret?")
    engine.stop()
    spoil(tmp_path / names[0])
    (tmp_path / ".x.making-y").mkdir()
    (tmp_path / "a file").write_text("")
    later = start()
    assert len(later.view(names[1]).replies) == 1 and not (tmp_path / ".x.making-y").exists()
    with pytest.raises(SessionGone):
        later.view(names[0])
    (warning,) = caplog.messages
    assert "left out" in warning and "secret" not in warning and names[0] not in warning


def test_what_breaks_later_is_gone_then(start: Any, picture: Any, tmp_path: Path, caplog: Any) -> None:
    engine = start(memory=0)
    name = engine.open(picture(50, 80))
    answers(engine, [name], "One?")
    changed(tmp_path / name / "session.json", ids=[9999])
    answer = engine.ask(name, "Two?")
    with pytest.raises(SessionGone, match="damaged"):
        answer.reply()
    with pytest.raises(SessionGone):
        engine.view(name)
    assert "left out" in caplog.text


def test_a_full_disk_is_survived(start: Any, picture: Any, tmp_path: Path, caplog: Any, monkeypatch: Any) -> None:
    engine = start(memory=0)
    name = engine.open(picture(50, 80))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("miras.engine.kept.write_text", full)
        answers(engine, [name], "One?")
    assert "No space left" in caplog.text and engine.figures()["sessions_in_memory"] == 1
    answers(engine, [name], "Two?")
    assert engine.figures()["sessions_in_memory"] == 0
    assert len(json.loads((tmp_path / name / "session.json").read_text())["turns"]) == 4


def test_the_number_of_sessions_is_bounded(start: Any, picture: Any, tmp_path: Path) -> None:
    engine = start(sessions=2, idle=0.3, memory=0)
    first, second = engine.open(picture(50, 80)), engine.open(picture(50, 80, 1))
    for more in (lambda: engine.open(picture(50, 80, 2)), lambda: engine.branch(first)):
        with pytest.raises(EngineBusy, match="2 conversations"):
            more()
    time.sleep(0.3)
    engine.view(second)
    third = engine.open(picture(50, 80, 2))
    with pytest.raises(SessionGone):
        engine.view(first)
    assert {path.name for path in tmp_path.iterdir()} == {second, third}


def test_equal_pixels_have_equal_digests(picture: Any) -> None:
    image = picture(50, 80)
    assert digest_of(image) == digest_of(image.copy()) != digest_of(image.reshape(80, 50, 3))
