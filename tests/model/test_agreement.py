"""The same masks and words however they are computed, alone or together, and nothing computed twice."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from tests.talks import TALK, asked, close, mask_logits
from torch import Tensor

from miras.metrics.masks import mask_iou
from miras.model.miras import Miras
from miras.model.session import Session, ask_many

VARIANTS: list[dict[str, Any]] = [
    {},
    {"seg_state": "predicting"},
    {"alignment": "none"},
    {"alignment": "half"},
    {"fusion": "global", "fusion_residual": False, "alignment_residual": False},
    {"lora": {}, "chat": "vicuna"},
]


@contextmanager
def counted(model: Miras) -> Iterator[Counter[str]]:
    """How often the encoders run."""
    counts: Counter[str] = Counter()

    def counting(name: str, call: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            counts[name] += 1
            return call(*args)

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for name, part, method in (
            ("low", model.vision.low, "forward"), ("high", model.vision.high, "forward"),
            ("pixel", model.pixel, "encode"),
        ):  # fmt: skip
            patch.setattr(part, method, counting(name, getattr(part, method)))
        yield counts


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
@torch.no_grad()
def test_cache_no_cache_and_teacher_forcing_agree(make: Any, picture: Any, say: Any, sample: Any, changes: Any) -> None:
    model, image = make(**changes), picture(50, 80)
    cached = asked(model, image, say)
    recomputed = model.session(image)
    for question, answer in TALK[:-1]:
        recomputed.force(question, answer)
    with say(model, TALK[-1][1]) as heard:
        recomputed.ask(TALK[-1][0])
    output = model(model.processor.collator(mask_size=32)([sample(image, *(t for turn in TALK for t in turn))]))
    assert cached._ids == recomputed._ids
    assert close(mask_logits(cached), mask_logits(recomputed))
    assert close(torch.cat([mask_logits(cached, 1), mask_logits(cached, 2)]), output.mask_logits)
    assert close(torch.cat(heard.logits), output.logits[-len(heard.logits) :])
    scores = [target.score for reply in cached.replies for target in reply.targets]
    assert scores == pytest.approx(output.iou.tolist(), abs=1e-3)


def test_a_batch_of_four_equals_four_alone(tiny: Miras, picture: Any, say: Any) -> None:
    shapes = [(40, 60), (70, 20), (64, 64), (9, 90)]
    answers = ["No.", "It is [OBJ]a[SEG].", "The [OBJ]long name of it[SEG], [SEG] and more words.", "[SEG]"]
    questions = ["Is it?", "Mark all of it, and then some.", "And?", "Which one of them is it?"]

    def prepared() -> list[Session]:
        sessions = [tiny.session(picture(*shape, seed)) for seed, shape in enumerate(shapes)]
        with say(tiny, "Yes, [SEG]."):
            sessions[1].ask("Do you see it?")
        sessions[3].force("Hm?", "Oh.")
        return sessions

    together, alone = prepared(), prepared()
    with say(tiny, *answers) as heard:
        ask_many(together, questions)
    for index, session in enumerate(alone):
        with say(tiny, answers[index]) as single:
            session.ask(questions[index])
        places = [sum(len(tiny.processor.encoder.answer(a)) > step for a in answers[:index]) for step in range(90)]
        for step, logits in enumerate(single.logits):
            assert close(logits[0], heard.logits[step][places[step]])
        assert together[index]._ids == session._ids
        if "[SEG]" in answers[index]:
            assert close(mask_logits(together[index]), mask_logits(session))
        for ours, theirs in zip(together[index]._past or [], session._past or [], strict=True):
            assert close(ours[0], theirs[0]) and close(ours[1], theirs[1])


@torch.no_grad()
def test_teacher_forced_batches_of_four_and_one_agree(tiny: Miras, picture: Any, sample: Any) -> None:
    samples = [
        sample(picture(*shape, seed), *turns)
        for seed, (shape, turns) in enumerate(
            [
                ((40, 60), ("Is it?", "No.")),
                ((70, 20), ("Mark.", "[OBJ]a[SEG].")),
                ((64, 64), ("Mark it.", "[SEG] and [OBJ]b c[SEG].")),
                ((9, 90), ("Hm?", "Oh.", "Mark.", "[SEG]")),
            ]
        )
    ]
    collate = tiny.processor.collator(mask_size=32)
    together, alone = tiny(collate(samples)), [tiny(collate([one])) for one in samples]
    assert close(together.mask_logits, torch.cat([one.mask_logits for one in alone if len(one.iou)]))
    assert close(together.logits, torch.cat([one.logits for one in alone]))


def test_masks_agree_in_bf16(fresh_model: Any, picture: Any, say: Any) -> None:
    model, image = fresh_model(), picture(50, 80)
    model.language.lm.to(torch.bfloat16)
    cached, recomputed = asked(model, image, say), model.session(image)
    for question, answer in TALK[:-1]:
        recomputed.force(question, answer)
    companions = [recomputed.branch(), model.session(picture(80, 30, 1))]
    with say(model, TALK[-1][1], TALK[-1][1], "No."):
        replies = ask_many([recomputed, *companions], [TALK[-1][0], TALK[-1][0], "Long other question?"])
    for reply in replies[:2]:
        assert mask_iou(reply.targets[0].mask, cached.replies[-1].targets[0].mask) >= 0.995
        assert 0 < reply.targets[0].mask.mean() < 1


def test_no_image_is_encoded_twice(tiny: Miras, picture: Any, say: Any) -> None:
    session = tiny.session(picture(40, 60))
    with counted(tiny) as counts:
        with say(tiny, "A car."):
            session.ask("What is it?")
        assert counts == {"low": 1, "high": 1}
        with say(tiny, "[OBJ]a[SEG] [SEG]"):
            session.ask("Mark it.")
        assert counts == {"low": 1, "high": 1, "pixel": 1}
        twin = session.branch()
        for one in (session, twin):
            with say(tiny, "[SEG]"):
                one.ask("Again.")
        session.undo()
        with say(tiny, "[SEG]"):
            list(session.stream("Once more."))
        assert counts == {"low": 1, "high": 1, "pixel": 1}


@pytest.fixture
def fed(tiny: Miras, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each pass through the language model is given."""
    lengths, states = list[int](), tiny.language.states

    def counting(embeddings: Tensor, *rest: Any) -> Tensor:
        lengths.append(embeddings.shape[1])
        return states(embeddings, *rest)

    monkeypatch.setattr(tiny.language, "states", counting)
    return lengths


def test_conversations_about_one_image_feed_its_tokens_once(tiny: Miras, picture: Any, fed: list[int]) -> None:
    session = tiny.session(picture(40, 60))
    ask_many([session.branch(), session.branch(), session], ["One?", "Two?", "Three?"], limit=1)
    opening = len(tiny.processor.encoder.opening(int(session.memory.cells.sum())))
    assert fed.count(opening) == 1
    assert max(fed[1:]) == len(tiny.processor.encoder.question("Three?", image_tokens=0)) - 1 - len("user\n")


def test_a_second_turn_feeds_only_what_is_new(tiny: Miras, picture: Any, say: Any, fed: list[int]) -> None:
    session = tiny.session(picture(40, 60))
    with say(tiny, "Yes."):
        session.ask("One?")
    first = list(fed)
    fed.clear()
    with say(tiny, "No."):
        session.ask("Two?")
    # what every conversation about the image begins with, then the question
    assert first[0] + first[1] == len(session._ids[: session._starts[1]]) - len("Yes.") - 1
    assert first[0] == len(tiny.processor.encoder.opening(int(session.memory.cells.sum())))
    assert fed[0] == len(tiny.processor.encoder.question("Two?", image_tokens=None)) + 1  # and the last stop token
