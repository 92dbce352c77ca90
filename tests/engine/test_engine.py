"""Many conversations at once: each is answered as if it were alone, and stays as it was when it is left."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miras.engine.engine import Engine, EngineSettings
from miras.errors import EmptyQuestion, EngineBusy, EngineStopped, SessionError, SessionGone
from miras.model.miras import Miras
from miras.model.replies import Reply

QUESTIONS = ("What is it?", "Mark the wheels.", "Where does one sit in there, and why?", "And now?")

ASKED = st.tuples(st.integers(0, 3), st.sampled_from(QUESTIONS), st.integers(1, 12), st.booleans())
"""Which conversation is asked what, for how many tokens at most, and whether the answer is cancelled on the way."""


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


@settings(max_examples=8)
@given(st.lists(ASKED, min_size=2, max_size=9), st.integers(1, 4), st.lists(st.integers(0, 30), min_size=9))
def test_answers_are_those_given_alone(
    tiny: Miras, picture: Any, tmp_path_factory: Any, orders: Any, batch: int, waits: list[int]
) -> None:
    engine = Engine(tiny, tmp_path_factory.mktemp("kept"), EngineSettings(batch=batch))
    try:
        images = [picture(40 + 8 * seed, 60, seed) for seed in range(4)]
        names = [engine.open(image) for image in images]
        told = []
        for (who, question, limit, cancelled), wait in zip(orders, waits, strict=False):
            answer = engine.ask(names[who], question, limit=limit)
            if cancelled:
                answer.cancel()
            told.append((who, question, limit, answer))
            time.sleep(wait / 5000)
        replies = [[piece for piece in answer if isinstance(piece, Reply)] for *_, answer in told]
        twins = [tiny.session(image) for image in images]
        for (who, question, limit, _), reply in zip(told, replies, strict=True):
            if reply:  # a cancelled one may have ended before it was noticed
                assert reply[0].text == twins[who].ask(question, limit=limit).text
        for name, twin in zip(names, twins, strict=True):
            session = engine._shelf.get(name).session
            assert session is not None and session._ids == twin._ids and session.turns == twin.turns
    finally:
        engine.stop(grace=0)


def test_a_new_question_joins_answers_under_way(start: Any, picture: Any, slow: Any, alone: Any) -> None:
    engine = start(batch=2)
    names = [engine.open(picture(50, 80, seed)) for seed in range(3)]
    first = engine.ask(names[0], "One?", limit=6)
    slow.release(4)  # the image, the question, two tokens
    until(lambda: slow._value == 0)
    second, third = engine.ask(names[1], "Two?", limit=3), engine.ask(names[2], "Three?", limit=3)
    slow.release(100)
    replies = [answer.reply() for answer in (first, second, third)]
    sizes = {name: value for name, value in engine.figures().items() if name.startswith("steps_of_")}
    assert sizes.keys() == {"steps_of_1_total", "steps_of_2_total"} and sizes["steps_of_2_total"] >= 3
    for seed, (reply, question, limit) in enumerate(zip(replies, ("One?", "Two?", "Three?"), (6, 3, 3), strict=True)):
        assert reply.text == alone(picture(50, 80, seed), [question], limit)[0].text


def test_questions_to_one_session_are_answered_in_turn(start: Any, picture: Any, alone: Any) -> None:
    engine = start()
    name = engine.open(picture(50, 80))
    answers = [engine.ask(name, question, limit=4) for question in QUESTIONS]
    twin = engine.branch(name)  # behind all four
    assert len(engine.view(twin).replies) == 4
    expected = alone(picture(50, 80), QUESTIONS, 4)
    assert [answer.reply().text for answer in answers] == [reply.text for reply in expected]
    assert [turn.text for turn in engine.view(name).turns[::2]] == list(QUESTIONS)


def test_pieces_are_the_answer(start: Any, picture: Any) -> None:
    engine = start()
    name = engine.open(picture(50, 80))
    for marked in (False, True):
        *pieces, reply = engine.ask(name, "What?", limit=20, marked=marked)
        assert isinstance(reply, Reply) and "".join(pieces) == (reply.text if marked else reply.plain)


@pytest.mark.parametrize("way", ["cancel", "close", "forget", "async"])
def test_an_answer_that_is_left_changes_nothing(start: Any, picture: Any, slow: Any, alone: Any, way: str) -> None:
    engine = start()
    slow.release(100)
    name = engine.open(picture(50, 80))
    first = engine.ask(name, "One?", limit=4).reply()
    session = engine._shelf.get(name).session
    assert session is not None
    before = {**vars(session), "_ids": list(session._ids), "_starts": list(session._starts)}
    until(lambda: engine.figures()["answering"] == 0)
    while slow.acquire(blocking=False):
        pass
    answer: Any = engine.ask(name, "Two?", limit=90)
    slow.release(2)
    if way == "async":
        asyncio.run(_read_two(answer))
    else:
        pieces = iter(answer)
        next(pieces)
        if way == "cancel":
            answer.cancel()
        elif way == "close":
            pieces.close()
        del pieces
    del answer
    slow.release(3)  # one step may be under way
    until(lambda: engine.figures()["cancelled_total"] == 1)
    assert vars(session) == before and engine.figures()["answering"] == 0
    slow.release(100)
    assert engine.ask(name, "And now?", limit=4).reply().text == alone(picture(50, 80), ["One?", "And now?"], 4)[1].text
    assert engine.view(name).replies[0] is first


def test_answers_beside_one_that_is_left_go_on(start: Any, picture: Any, slow: Any, alone: Any) -> None:
    engine = start()
    slow.release(100)
    names = [engine.open(picture(50, 80, seed)) for seed in range(3)]
    until(lambda: engine.figures()["answering"] == 0)
    while slow.acquire(blocking=False):
        pass
    answers = [engine.ask(name, "One?", limit=9) for name in names]
    slow.release(6)
    pieces = iter(answers[0])
    next(pieces)
    answers[0].cancel()
    slow.release(200)
    told = [answer.reply().text for answer in answers[1:]]
    assert told == [alone(picture(50, 80, seed), ["One?"], 9)[0].text for seed in (1, 2)]
    assert engine.figures()["cancelled_total"] == 1


async def _read_two(answer: Any) -> None:
    async for _ in answer:
        break


def test_one_that_leaves_does_not_disturb_who_came_later(start: Any, picture: Any, slow: Any, alone: Any) -> None:
    engine = start()
    names = [engine.open(picture(50, 80, seed)) for seed in range(3)]
    answers = [engine.ask(name, "What is it?", limit=12) for name in names]
    pieces = [iter(answer) for answer in answers]
    for _ in range(30):
        slow.release()
        time.sleep(0.001)
    until(lambda: engine.figures()["first_words_total"] == 3 or slow.release() is not None)
    answers[0].cancel()
    slow.release(100)
    assert not any(isinstance(piece, Reply) for piece in pieces[0])
    for seed in (1, 2):
        *_, reply = pieces[seed]
        assert isinstance(reply, Reply) and reply.text == alone(picture(50, 80, seed), ["What is it?"], 12)[0].text


def test_an_answer_that_waits_can_be_cancelled(start: Any, picture: Any, slow: Any) -> None:
    engine = start(batch=1)
    names = [engine.open(picture(50, 80, seed)) for seed in range(2)]
    first, second = (engine.ask(name, "One?", limit=3) for name in names)
    second.cancel()
    slow.release(20)
    assert list(second) == [] and first.reply() and engine.view(names[1]).turns == ()


def test_an_answer_is_read_in_an_event_loop(start: Any, picture: Any) -> None:
    engine = start()
    name = engine.open(picture(50, 80))

    async def read() -> list[str | Reply]:
        return [piece async for piece in engine.ask(name, "What?", limit=9)]

    *pieces, reply = asyncio.run(read())
    assert isinstance(reply, Reply) and "".join(map(str, pieces)) == reply.plain


def test_what_is_too_much_is_refused(start: Any, picture: Any, slow: Any) -> None:
    engine = start(batch=1, waiting=1)
    name = engine.open(picture(50, 80))
    held = [engine.ask(name, "One?", limit=2), engine.ask(name, "Two?", limit=2)]
    with pytest.raises(EngineBusy, match="questions are waiting"):
        engine.ask(name, "Three?")
    slow.release(20)
    assert all(answer.reply() for answer in held)
    assert engine.ask(name, "Three?", limit=1).reply()


def test_what_cannot_be_asked_says_so(start: Any, picture: Any) -> None:
    engine = start()
    name = engine.open(picture(50, 80))
    with pytest.raises(EmptyQuestion):
        engine.ask(name, " ").reply()
    with pytest.raises(SessionError, match="nothing to undo"):
        engine.undo(name)
    with pytest.raises(SessionError, match="first 1 turns"):
        engine.branch(name, 1)
    engine.close(name)
    for use in (engine.view, engine.image, engine.undo, engine.branch, engine.close):
        with pytest.raises(SessionGone):
            use(name)
    with pytest.raises(SessionGone):
        engine.ask(name, "One?")
    assert engine.figures()["failed_total"] == 1


def test_a_closed_session_breaks_its_answer_off(start: Any, picture: Any, slow: Any) -> None:
    engine = start()
    name = engine.open(picture(50, 80))
    running, waiting = engine.ask(name, "One?", limit=90), engine.ask(name, "Two?")
    slow.release(4)
    pieces = iter(running)
    next(pieces)
    closing = threading.Thread(target=engine.close, args=(name,))
    closing.start()
    slow.release(4)
    closing.join()
    for answer in (pieces, waiting):
        with pytest.raises(SessionGone):
            list(answer)


def test_stopping_finishes_what_runs(start: Any, picture: Any, slow: Any, tmp_path: Path) -> None:
    engine = start(batch=1)
    name, other = engine.open(picture(50, 80)), engine.open(picture(50, 80, 1))
    running, waiting = engine.ask(name, "One?", limit=3), engine.ask(other, "Two?")
    slow.release(3)
    until(lambda: slow._value == 0)
    stopping = threading.Thread(target=engine.stop)
    stopping.start()
    slow.release(1)
    with pytest.raises(EngineStopped):
        waiting.reply()
    slow.release(20)
    assert running.reply()
    stopping.join()
    for refused in (lambda: engine.ask(name, "Three?"), lambda: engine.open(picture(50, 80))):
        with pytest.raises(EngineStopped):
            refused()
    assert len(engine.view(name).replies) == 1
    assert len(start(folder=tmp_path).view(name).replies) == 1


def test_stopping_does_not_wait_for_ever(start: Any, picture: Any) -> None:
    engine = start()
    name = engine.open(picture(50, 80))
    answer = engine.ask(name, "One?", limit=900)
    next(iter(answer))
    engine.stop(grace=0)
    assert engine.view(name).turns == ()


def test_a_failing_step_ends_its_answers_only(start: Any, tiny: Any, picture: Any, monkeypatch: Any) -> None:
    engine = start()
    name = engine.open(picture(50, 80))
    engine.ask(name, "One?", limit=2).reply()
    with monkeypatch.context() as patch:
        patch.setattr(tiny.language, "logits", lambda states: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.ask(name, "Two?").reply()
    assert engine.ask(name, "Two?", limit=2).reply() and len(engine.view(name).replies) == 2
