"""Histories that clients send again and again: what is known of them is not computed."""

from typing import Any

import pytest

from miras.engine.kept import in_common
from miras.errors import SessionError, SessionGone
from miras.types import Turn


def turns(*texts: str) -> list[Turn]:
    return [Turn("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)]


def ids(engine: Any, name: str) -> list[int]:
    return list(engine._shelf.get(name).session._ids)


def ask(engine: Any, name: str, question: str) -> str:
    return str(engine.ask(name, question, limit=4).reply().text)


def test_a_growing_conversation_goes_on_and_leaves_no_trail(start: Any, picture: Any, alone: Any) -> None:
    engine, image = start(), picture(50, 80)
    history, questions = list[Turn](), ["One?", "Two?", "Three?"]
    known = list[int]()
    for question in questions:
        name = engine.resume(image, history)
        assert ids(engine, name) == known  # the very tokens, not the text read anew
        history += turns(question, ask(engine, name, question))
        known = ids(engine, name)
    assert [turn.text for turn in history[1::2]] == [reply.text for reply in alone(image, questions, 4)]
    figures = engine.figures()
    assert figures["sessions"] == 1 and (figures["prefix_hits_total"], figures["prefix_misses_total"]) == (2, 0)
    assert figures["prefix_turns_total"] == 3 and figures["prefix_tokens_total"] > 50


def test_an_earlier_state_is_found_and_the_rest_is_added(start: Any, picture: Any) -> None:
    engine, image = start(), picture(50, 80)
    source = engine.open(image)
    said = [ask(engine, source, question) for question in ("One?", "Two?")]
    begun = engine._shelf.get(source).session._starts
    other = engine.resume(image, turns("One?", f" {said[0]}\n", "What else?", "A [OBJ]roof[SEG]."))
    assert ids(engine, other)[: begun[1]] == ids(engine, source)[: begun[1]]
    view = engine.view(other)
    assert [turn.text for turn in view.turns] == ["One?", said[0], "What else?", "A [OBJ]roof[SEG]."]
    assert len(engine.view(source).replies) == 2  # what a person opened stays
    assert engine.figures()["prefix_turns_total"] == 1
    engine.resume(picture(50, 80, 1), turns("One?", said[0]))
    assert engine.figures()["prefix_misses_total"] == 1


def test_two_clients_with_one_history_do_not_meet(start: Any, picture: Any) -> None:
    engine, image = start(), picture(50, 80)
    one, two = engine.resume(image, []), engine.resume(image, [])
    said = ask(engine, one, "One?")
    assert one != two and ask(engine, two, "One?") == said
    three, four = (engine.resume(image, turns("One?", said)) for _ in range(2))
    assert engine.figures()["sessions"] == 2  # both that were spent are closed
    assert ask(engine, three, "Two?") == ask(engine, four, "Two?")


def test_who_comes_back_by_name_keeps_the_session(start: Any, picture: Any) -> None:
    engine, image = start(), picture(50, 80)
    name = engine.resume(image, [])
    said = [ask(engine, name, "One?"), ask(engine, name, "Two?")]
    engine.resume(image, turns("One?", said[0], "Two?", said[1]))
    assert len(engine.view(name).replies) == 2
    other = engine.resume(image, [])
    ask(engine, other, "Three?")
    engine.undo(other)
    engine.resume(image, [])
    assert engine.view(other).turns == ()


def test_spent_sessions_make_room(start: Any, picture: Any) -> None:
    engine = start(sessions=2)
    kept = engine.open(picture(50, 80))
    for seed in range(3):
        name = engine.resume(picture(50, 80, seed + 1), [])
        ask(engine, name, "One?")
    assert engine.view(kept) and engine.view(name)
    assert engine.figures()["sessions"] == 2


def test_a_source_put_aside_is_brought_back(start: Any, picture: Any) -> None:
    engine, image = start(memory=0), picture(50, 80)
    source = engine.open(image)
    said = ask(engine, source, "One?")
    name = engine.resume(image, turns("One?", said))
    assert ask(engine, name, "Two?") == ask(engine, source, "Two?")
    (engine.folder / source / "session.json").write_text("{}")
    assert ask(engine, engine.resume(image, turns("One?", said)), "Two?")


@pytest.mark.parametrize("history", [turns("One?"), turns("One?", "Yes.")[::-1], [Turn("user", "a")] * 2])
def test_histories_out_of_turn_are_refused(start: Any, picture: Any, history: list[Turn]) -> None:
    with pytest.raises(SessionError, match="questions and answers in turn"):
        start().resume(picture(50, 80), history)


@pytest.mark.parametrize(
    ("theirs", "count"),
    [
        (("a?", "The [OBJ]x[SEG].", "b?", "No."), 2),
        (("a?", "The x.", "b?", "No.", "c?", "Yes."), 2),
        (("a?", "The x.", "b?", "Yes."), 1),
        (("a?", "The [OBJ]x."), 0),
        (("b?", "No."), 0),
        ((), 0),
    ],
)
def test_turns_in_common(theirs: tuple[str, ...], count: int) -> None:
    assert in_common(turns("a?", " The [OBJ]x[SEG].", "b?", "No."), turns(*theirs)) == count


def test_sessions_that_are_gone_say_so(start: Any, picture: Any) -> None:
    engine = start()
    name = engine.resume(picture(50, 80), [])
    engine.close(name)
    with pytest.raises(SessionGone):
        engine.view(name)
