"""Rolling batches: who is asked what, after which history, and what comes back."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from miras.data.masks import decode
from miras.errors import ContextFull, ImageError
from miras.evaluate.predict import Task, predict
from miras.types import Dialogue, Said, Turn

LEFT = np.array([[1, 0], [1, 0]], dtype=bool)


def task(index: int, questions: Sequence[str], *, image: str = "a.png", bypass: bool = False) -> Task:
    turns = [turn for q in questions for turn in (Turn("user", q), Turn("assistant", f"true {q}"))]
    return Task("direct", index, Dialogue(tuple(turns)), Path(image), image, bypass)


def history_of(session: Any, question: str, fake_reply: Any) -> Any:
    return fake_reply(" > ".join([*(answer for _, answer in session.turns), question]))


def texts(replies: Sequence[Said]) -> tuple[str, ...]:
    return tuple(said.text for said in replies)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("own", ("x", "x > y", "x > x > y > z")),
        ("gold", ("x", "true x > y", "true x > true y > z")),
        ("none", ("x", "y", "z")),
    ],
)
def test_history_is_the_models_own_or_the_true_one_or_none(
    fake_chat: Any, fake_reply: Callable[..., Any], history: Any, expected: tuple[str, ...]
) -> None:
    chat = fake_chat(lambda session, question: history_of(session, question, fake_reply))
    [(_, replies)] = predict(chat, [task(0, "xyz")], ask_many=chat.ask_many, history=history)
    assert texts(replies) == expected


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_every_dialogue_comes_back_whatever_the_batch(fake_chat: Any, fake_reply: Any, batch_size: int) -> None:
    chat = fake_chat(lambda session, question: history_of(session, question, fake_reply))
    tasks = [task(index, "abcde"[: 1 + index % 4]) for index in range(9)]
    found = {t.index: p for t, p in predict(chat, tasks, ask_many=chat.ask_many, batch_size=batch_size)}
    assert sorted(found) == list(range(9))
    assert all(len(found[index]) == 1 + index % 4 for index in found)
    assert texts(found[3])[:2] == ("a", "a > b")
    assert max(chat.batches) == min(batch_size, 9)
    assert sum(chat.batches) == sum(1 + index % 4 for index in range(9))


def test_a_finished_dialogue_makes_room_for_the_next(fake_chat: Any, fake_reply: Any) -> None:
    chat = fake_chat(lambda session, question: fake_reply("yes"))
    list(predict(chat, [task(0, "abc"), task(1, "a"), task(2, "ab")], ask_many=chat.ask_many, batch_size=2))
    assert chat.batches == [2, 2, 2]


def test_an_image_is_opened_once_while_it_is_kept(fake_chat: Any, fake_reply: Any) -> None:
    chat = fake_chat(lambda session, question: fake_reply("yes"))
    tasks = [task(index, "a", image=name) for index, name in enumerate(["a", "a", "b", "a", "c", "b"])]
    list(predict(chat, tasks, ask_many=chat.ask_many, batch_size=1, images=2))
    # c pushes out b, which was used longest ago, so b is opened again.
    assert [str(image) for image in chat.images] == ["a", "b", "c", "b"]


def test_bypassed_tasks_never_share_a_batch_with_others(fake_chat: Any, fake_reply: Any) -> None:
    chat = fake_chat(lambda session, question: fake_reply(str(session.bypass_alignment)))
    tasks = [task(index, "a", bypass=index in (1, 2)) for index in range(5)]
    answers = {t.index: p[0].text for t, p in predict(chat, tasks, ask_many=chat.ask_many)}
    assert answers == {0: "False", 1: "True", 2: "True", 3: "False", 4: "False"}
    assert all(len(kinds) == 1 for kinds in chat.bypassed)


def test_every_turns_masks_are_kept(fake_chat: Any, fake_reply: Any) -> None:
    masks = {"a": [~LEFT], "b": [LEFT, ~LEFT]}
    chat = fake_chat(lambda session, question: fake_reply("[OBJ]x[SEG]", *masks[question]))
    [(_, (first, second))] = predict(chat, [task(0, "ab")], ask_many=chat.ask_many)
    assert [decode(mark.mask).tolist() for mark in first.masks] == [(~LEFT).tolist()]
    assert [decode(mark.mask).tolist() for mark in second.masks] == [LEFT.tolist(), (~LEFT).tolist()]
    assert [(mark.phrase, mark.score) for mark in second.masks] == [("thing", 0.5)] * 2
    assert first.seconds and second.seconds


def test_a_refused_question_ends_its_dialogue_and_no_other(fake_chat: Any, fake_reply: Any) -> None:
    chat = fake_chat(lambda session, question: fake_reply("[OBJ]x[SEG]", LEFT))

    def ask_many(sessions: list[Any], questions: list[str]) -> list[Any]:
        if "full" in questions:
            raise ContextFull("the context holds 10 tokens, 11 are needed; start a new session")
        replies: list[Any] = chat.ask_many(sessions, questions)
        return replies

    tasks = [task(0, ["a", "b"]), task(1, ["a", "full", "c"]), task(2, ["a"]), task(3, ["full"])]
    found = {t.index: p for t, p in predict(chat, tasks, ask_many=ask_many)}
    assert texts(found[1]) == ("[OBJ]x[SEG]", "", "")
    assert [len(said.masks) for said in found[1]] == [1, 0, 0]
    assert texts(found[3]) == ("",)
    assert texts(found[0]) == ("[OBJ]x[SEG]",) * 2
    assert len(found[2][0].masks) == 1


def test_other_errors_are_not_hidden(fake_chat: Any) -> None:
    def broken(sessions: list[Any], questions: list[str]) -> list[Any]:
        raise ImageError("a.png is broken; save it again")

    with pytest.raises(ImageError, match="broken"):
        list(predict(fake_chat(None), [task(0, "a")], ask_many=broken))
