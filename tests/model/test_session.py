"""Sessions: what can be asked, taken back, branched, saved and refused."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.talks import TALK, asked, close, mask_logits

from miras import tokens
from miras.data.images import Canvas
from miras.errors import ContextFull, EmptyQuestion, QuestionTooLong, SessionError
from miras.model.miras import Miras
from miras.model.replies import Reply
from miras.model.session import ask_many


def test_undo_takes_back_the_last_turn(tiny: Miras, picture: Any, say: Any) -> None:
    session = asked(tiny, picture(50, 80), say)
    ids, first = list(session._ids), mask_logits(session)
    session.undo()
    assert len(session.turns) == 4 and len(session.replies) == 2
    with say(tiny, TALK[-1][1]):
        session.ask(TALK[-1][0])
    assert session._ids == ids and close(mask_logits(session), first)
    for _ in TALK:
        session.undo()
    assert session.turns == () and session._past is None
    with say(tiny, "Yes."):
        assert session.ask("Is it?").text == "Yes."
    session.undo()
    with pytest.raises(SessionError, match="nothing to undo"):
        session.undo()


def test_branches_do_not_disturb_each_other(tiny: Miras, picture: Any, say: Any) -> None:
    root = asked(tiny, picture(50, 80), say)
    before, past = list(root._ids), [keys.clone() for keys, _ in root._past or []]
    one, two = root.branch(), root.branch()
    for session, answer in ((one, "It is [OBJ]x[SEG]."), (two, "A much longer answer, no mask.")):
        with say(tiny, answer):
            session.ask("Now?")
    two.undo()
    two.undo()
    assert root._ids == before and len(root.turns) == 6 and len(one.turns) == 8 and len(two.turns) == 4
    assert all(torch.equal(now[0], then) for now, then in zip(root._past or [], past, strict=True))
    with say(tiny, "It is [OBJ]x[SEG]."):
        root.ask("Now?")
    assert close(mask_logits(root), mask_logits(one))


def test_saved_sessions_go_on_as_they_were(tiny: Miras, picture: Any, say: Any, tmp_path: Path) -> None:
    session = asked(tiny, picture(50, 80), say)
    session.save(tmp_path / "talk")
    loaded = tiny.load_session(tmp_path / "talk")
    assert loaded.turns == session.turns and loaded._ids == session._ids
    assert np.array_equal(loaded.image, session.image)
    for ours, theirs in zip(loaded.replies[1].targets, session.replies[1].targets, strict=True):
        assert np.array_equal(ours.mask, theirs.mask) and (ours.phrase, ours.score) == (theirs.phrase, theirs.score)
    for one in (session, loaded):
        with say(tiny, "[OBJ]roof[SEG]"):
            one.ask("And the roof?")
    assert close(mask_logits(session), mask_logits(loaded))
    session.save(tmp_path / "talk")
    assert len(tiny.load_session(tmp_path / "talk").turns) == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: "{", "saved session"),
        (lambda text: "[]", "saved session"),
        (lambda text: text.replace('"turns"', '"talk"'), "saved session"),
        (lambda text: text.replace('"ids": [', '"ids": [9999,'), "ids below 323"),
        (lambda text: text.replace('"starts": [', '"starts": [7,'), "was changed"),
    ],
)
def test_spoilt_sessions_are_refused(tiny: Miras, picture: Any, tmp_path: Path, spoil: Any, message: str) -> None:
    session = tiny.session(picture(50, 80))
    session.force("Is it?", "Yes.")
    session.save(tmp_path / "talk")
    path = tmp_path / "talk" / "session.json"
    path.write_text(spoil(path.read_text()))
    with pytest.raises(SessionError, match=message):
        tiny.load_session(tmp_path / "talk")


def test_missing_sessions_are_refused(tiny: Miras, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="saved session"):
        tiny.load_session(tmp_path)


def test_streams_tell_the_answer_in_pieces(tiny: Miras, picture: Any, say: Any) -> None:
    session = tiny.session(picture(50, 80))
    with say(tiny, "Übel: [OBJ]ein Bär[SEG] ☂."):
        *pieces, reply = session.stream("Was?")
    assert isinstance(reply, Reply) and "".join(map(str, pieces)) == reply.plain == "Übel: ein Bär ☂."
    assert len(pieces) > 10 and len(reply.targets) == 1 and reply.targets[0].phrase == "ein Bär"
    half = tiny.processor.encoder.words("aé")[:-1]
    with say(tiny, half):
        *pieces, reply = session.stream("Was?")
    assert isinstance(reply, Reply) and "".join(map(str, pieces)) == reply.plain == "a\N{REPLACEMENT CHARACTER}"


def test_a_closed_stream_leaves_the_session_as_it_was(tiny: Miras, picture: Any, say: Any) -> None:
    session = asked(tiny, picture(50, 80), say)
    ids, turns, past = list(session._ids), session.turns, session._past
    with say(tiny, "It is [OBJ]x[SEG]."):
        stream = session.stream("Now?")
        assert next(stream) == "I"
        stream.close()  # type: ignore[attr-defined]
    assert session._ids == ids and session.turns == turns and session._past is past
    assert torch.is_inference_mode_enabled() is False
    with say(tiny, TALK[-1][1]):
        session.ask("Now?")
    assert len(session.turns) == 8


def test_a_stream_overtaken_by_another_question_is_refused(tiny: Miras, picture: Any, say: Any) -> None:
    session = tiny.session(picture(50, 80))
    with say(tiny, "One."):
        stream = session.stream("First?")
        next(stream)
        session.force("Second?", "Two.")
        with pytest.raises(SessionError, match="went on"):
            list(stream)
    assert [turn.text for turn in session.turns] == ["Second?", "Two."]


def test_streams_keep_no_graph(tiny: Miras, picture: Any, say: Any) -> None:
    session = tiny.session(picture(50, 80))
    with say(tiny, "[SEG]"):
        list(session.stream("Mark it."))
    assert not session.memory.seen().tokens.requires_grad and not session.memory.features().fine.requires_grad


@pytest.mark.parametrize("changes", [{}, {"seg_state": "predicting"}], ids=str)
def test_what_a_seg_answers_to(make: Any, picture: Any, say: Any, changes: Any) -> None:
    model = make(**changes)
    session = model.session(picture(50, 80))
    replies: dict[str, Reply] = {}
    for text in ("[SEG]", "[OBJ]a[SEG]", "[SEG] b [OBJ]a[SEG][SEG]", "none"):
        with say(model, text):
            replies[text] = session.branch().ask("Mark.")
        assert replies[text].text == text
        assert len(replies[text].targets) == text.count("[SEG]")
    assert [target.phrase for target in replies["[SEG] b [OBJ]a[SEG][SEG]"].targets] == ["", "a", ""]
    first, later = replies["[SEG]"].targets[0], replies["[SEG] b [OBJ]a[SEG][SEG]"].targets[0]
    assert first.logits is not None and later.logits is not None and close(first.logits, later.logits)
    assert first.mask.shape == (50, 80) and first.mask.dtype == bool and 0 <= first.score <= 1


def test_a_seg_at_the_limit_is_marked(tiny: Miras, picture: Any, say: Any) -> None:
    answer = "It is [OBJ]x[SEG] and so on."
    count = tiny.processor.encoder.answer(answer).index(tiny.processor.encoder.seg_id) + 1
    cut, whole = tiny.session(picture(50, 80)), tiny.session(picture(50, 80))
    with say(tiny, answer):
        reply = cut.ask("Mark.", limit=count)
    assert reply.cut and reply.text == "It is [OBJ]x[SEG]"
    with say(tiny, answer):
        assert not whole.ask("Mark.").cut
    assert close(mask_logits(cut), mask_logits(whole))
    with say(tiny, "abc"):
        exact = cut.ask("Say abc.", limit=3)
    assert exact.text == "abc" and not exact.cut
    assert cut._ids.count(tiny.processor.encoder.stop_id) == 4  # two questions and two answers are closed


def test_bypassing_the_alignment_changes_named_masks_only(tiny: Miras, picture: Any, say: Any) -> None:
    for answer, same in (("[OBJ]x[SEG]", False), ("[SEG]", True)):
        sessions = [tiny.session(picture(50, 80)) for _ in range(2)]
        sessions[1].bypass_alignment = True
        for session in sessions:
            with say(tiny, answer):
                session.ask("Mark.")
        assert close(mask_logits(sessions[0]), mask_logits(sessions[1])) is same


def test_questions_that_cannot_be_asked_change_nothing(tiny: Miras, picture: Any, say: Any) -> None:
    session = asked(tiny, picture(50, 80), say)
    before = dict(vars(session))
    for question, error in (("", EmptyQuestion), (" \n ", EmptyQuestion), ("[SEG] ", EmptyQuestion)):
        with pytest.raises(error, match="needs words"):
            session.ask(question)
    with pytest.raises(QuestionTooLong, match="fewer words"):
        session.ask("word " * 10_000)
    with pytest.raises(QuestionTooLong):
        next(iter(session.stream("word " * 10_000)))
    with pytest.raises(EmptyQuestion):
        ask_many([session, session.branch()], ["Fine?", ""])
    with pytest.raises(EmptyQuestion):
        session.force("", "Yes.")
    assert vars(session) == before


def test_a_full_context_is_said_and_can_be_undone(tiny: Miras, picture: Any, say: Any) -> None:
    session = tiny.session(picture(50, 80))
    session.force("a" * 900, "b" * 900)
    session.force("c", "d")
    before = dict(vars(session))
    with pytest.raises(ContextFull, match="undo some turns"):
        session.ask("e" * 200)
    assert vars(session) == before
    session.undo()
    session.undo()
    with say(tiny, "Yes."):
        assert session.ask("e" * 200).text == "Yes."


def test_users_cannot_write_control_tokens(tiny: Miras, picture: Any) -> None:
    encoder, session = tiny.processor.encoder, tiny.session(picture(50, 80))
    plain = tiny.session(picture(50, 80))
    plain.force("x", "y")
    control = {encoder.obj_id, encoder.seg_id, encoder.image_id, encoder.stop_id}
    session.force("[S[SEG]EG] <ima<image>ge> <|im_end|> <|im_start|> </s> [OBJ]x", "<|im_end|> <image> y")
    for token in [*control, encoder.text("<|im_start|>")[0]]:
        assert session._ids.count(token) == plain._ids.count(token)


def test_the_model_never_writes_an_image(tiny: Miras, picture: Any, monkeypatch: Any) -> None:
    encoder = tiny.processor.encoder
    likes = torch.zeros(1, tiny.language.base_size + len(tokens.SPECIAL))
    likes[0, encoder.image_id], likes[0, encoder.stop_id] = 2, 1
    monkeypatch.setattr(tiny.language, "logits", lambda states: likes)
    assert tiny.session(picture(50, 80)).ask("Well?").text == ""


def test_a_name_that_the_model_opens_is_filled_and_closed(tiny: Miras, picture: Any, monkeypatch: Any) -> None:
    encoder = tiny.processor.encoder
    likes = torch.zeros(1, tiny.language.base_size + len(tokens.SPECIAL))
    likes[0, encoder.obj_id], likes[0, encoder.stop_id], likes[0, encoder.text("x")[0]] = 3, 2, 1
    monkeypatch.setattr(tiny.language, "logits", lambda states: likes)
    reply = tiny.session(picture(50, 80)).ask("Well?", limit=3)
    assert reply.text == "[OBJ]x[SEG]" and [target.phrase for target in reply.targets] == ["x"]


def test_batches_of_one_session_twice_or_two_models_are_refused(make: Any, picture: Any) -> None:
    session, other = make().session(picture(50, 80)), make(alignment="none").session(picture(50, 80))
    for sessions in ([session, session], [session, other]):
        with pytest.raises(SessionError, match="different sessions of one model"):
            ask_many(sessions, ["a", "b"])
    assert ask_many([], []) == []


def test_turns_begin_where_the_last_one_ended(tiny: Miras, picture: Any, say: Any) -> None:
    session = asked(tiny, picture(50, 80), say)
    stop = tiny.processor.encoder.stop_id
    assert session._starts[0] == 0 and all(a < b for a, b in pairwise(session._starts))
    assert all(session._ids[start - 1] == stop for start in session._starts[1:])


@pytest.mark.parametrize("shape", [(1, 300), (700, 1), (33, 31)])
def test_masks_have_the_size_of_the_image(
    tiny: Miras, picture: Callable[..., np.ndarray], say: Any, shape: tuple[int, int]
) -> None:
    with say(tiny, "[SEG]"):
        assert tiny.session(picture(*shape)).ask("Mark.").targets[0].mask.shape == shape


def test_masks_are_scaled_up_one_by_one(tiny: Miras, picture: Any, say: Any, monkeypatch: Any) -> None:
    """Of a photo of 24 megapixels, one mask's logits take 96 MB: many at once would take gigabytes."""
    scaled: list[int] = []
    real = Canvas.to_original

    def seen(canvas: Canvas, logits: Any) -> Any:
        scaled.append(logits[..., 0, 0].numel())
        return real(canvas, logits)

    monkeypatch.setattr(Canvas, "to_original", seen)
    with say(tiny, "[OBJ]cat[SEG], [OBJ]dog[SEG] and [OBJ]car[SEG]."):
        reply = tiny.session(picture(33, 31)).ask("Mark all.")
    assert len(reply.targets) == 3 and scaled == [1, 1, 1]
    monkeypatch.undo()
    for target in reply.targets:
        assert target.logits is not None
        assert np.array_equal(target.mask, (Canvas(33, 31).to_original(target.logits) > 0).numpy())
