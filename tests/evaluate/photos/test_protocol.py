"""The whole photo protocol with models whose figures can be worked out by hand."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from miras.data.photos import Photo, load_photos
from miras.errors import ConfigError
from miras.evaluate.photos.plan import make_plan, make_tasks
from miras.evaluate.photos.protocol import evaluate_photos, run_photos

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "photos"
KEYS = """
    direct.giou direct.ciou direct.n direct.precision_micro direct.precision_macro direct.recall_micro direct.f1_macro
    direct.by_size.fine.giou direct.by_size.coarse.ciou direct.by_size.coarse.n direct.by_source.pets.giou
    direct.parts.part.giou direct.parts.whole.ciou multi_turn.giou multi_turn.direct_giou multi_turn.ratio
    format.seg_rate format.false_seg_rate answers.accuracy answers.blank_image answers.majority
    answers.by_kind.objects.accuracy answers.by_kind.colors.blank_image answers.by_kind.places.majority
    answers.by_kind.places.n controls.other_phrase controls.other_phrase_drop controls.no_history controls.centre_box
    controls.alignment_bypassed protocol.seed protocol.versions.torch protocol.counts.targets protocol.seconds.total
"""
OVERLAP = (2 * 4 / 32 + 2 / 1024) / 6
"""Mean IoU of the true masks of the two phrases of each tiny photo."""


def at(figures: Any, key: str) -> Any:
    for part in key.split("."):
        figures = figures[part]
    return figures


def test_a_perfect_model_gets_perfect_figures(perfect: Any, photos: list[Photo]) -> None:
    figures = evaluate_photos(perfect, photos, ask_many=perfect.ask_many)
    expected = {
        "direct.giou": 1, "direct.ciou": 1, "direct.n": 6, "direct.f1_macro": 1, "direct.by_size.fine.giou": 1,
        "direct.by_size.fine.n": 1, "direct.parts.part.n": 2, "direct.by_source.pets.n": 4,
        "multi_turn.giou": 1, "multi_turn.direct_giou": 1, "multi_turn.ratio": 1, "multi_turn.n": 5,
        "format.seg_rate": 1, "format.false_seg_rate": 0, "format.seg_turns": 11, "format.text_turns": 6 + 10,
        "answers.accuracy": 1, "answers.blank_image": 0.5 / 3, "answers.majority": 2.5 / 3, "answers.n": 10,
        "controls.other_phrase": OVERLAP, "controls.other_phrase_drop": 1 - OVERLAP, "controls.no_history": 0,
        "controls.no_history_ratio": 0, "controls.alignment_bypassed": 1, "protocol.counts.multi_turn_possible": 5,
        "protocol.counts.empty_answers": 0,
    }  # fmt: skip
    assert {key: at(figures, key) for key in expected} == pytest.approx(expected, abs=1e-12)
    assert len(perfect.images) == 3 + 2, "each photo once, and one blank of each size"
    assert set(figures["protocol"]["seconds"]) == {
        "direct", "multi_turn", "no_history", "bypassed", "answers", "blank", "total"
    }  # fmt: skip


def test_a_model_that_says_nothing_gets_nothing(fake_chat: Any, fake_reply: Any, photos: list[Photo]) -> None:
    chat = fake_chat(lambda session, question: fake_reply("I see nothing."))
    figures = evaluate_photos(chat, photos, ask_many=chat.ask_many)
    expected = {
        "direct.giou": 0, "direct.ciou": 0, "direct.precision_micro": 0, "multi_turn.giou": 0,
        "multi_turn.ratio": None, "format.seg_rate": 0, "format.false_seg_rate": 0, "answers.accuracy": 0,
        "controls.other_phrase_drop": 0, "controls.alignment_bypassed": 0,
    }  # fmt: skip
    assert {key: at(figures, key) for key in expected} == expected


def left_half(session: Any) -> np.ndarray:
    image = session.image if isinstance(session.image, np.ndarray) else np.asarray(Image.open(session.image))
    mask = np.zeros(image.shape[:2], dtype=bool)
    mask[:, : image.shape[1] // 2] = True
    return mask


def test_a_model_that_always_marks_the_left_half(fake_chat: Any, fake_reply: Any, photos: list[Photo]) -> None:
    chat = fake_chat(
        lambda session, _: fake_reply("[OBJ]it[SEG] and [OBJ]rest[SEG]", left_half(session), ~left_half(session))
    )
    figures = evaluate_photos(chat, photos, ask_many=chat.ask_many)
    # cat is the left half; ball, dog and tail are not in it; button is 1 of its 512 pixels; shirt is twice as large.
    giou = (1 + 0 + 0 + 0 + 1 / 512 + 1 / 2) / 6
    talked = (1 + 0 + 0 + 1 / 512 + 1 / 2) / 5
    expected = {
        "direct.giou": giou, "direct.ciou": 545 / (545 + 607 + 564), "direct.precision_micro": 545 / (545 + 607),
        "direct.recall_macro": (1 + 0 + 0 + 0 + 1 + 1 / 2) / 6, "direct.parts.part.giou": (0 + 1 / 512) / 2,
        "direct.by_source.clothes.giou": (1 / 512 + 1 / 2) / 2, "multi_turn.giou": talked, "multi_turn.ratio": 1,
        "format.seg_rate": 1, "format.false_seg_rate": 1, "answers.accuracy": 0, "controls.no_history": talked,
        "controls.other_phrase": giou, "controls.other_phrase_drop": 0, "controls.other_phrase_perfect": OVERLAP,
        "controls.alignment_bypassed": talked, "controls.centre_box": (15 / 42 + 6 / 35 + 10 / 47 + 400 / 1024) / 6,
    }  # fmt: skip
    assert {key: at(figures, key) for key in expected} == pytest.approx(expected, abs=1e-12)


def test_bypassing_the_alignment_is_scored_apart(fake_chat: Any, fake_reply: Any, photos: list[Photo]) -> None:
    def answer(session: Any, question: str) -> Any:
        return fake_reply("[OBJ]it[SEG]", *(() if session.bypass_alignment else (left_half(session),)))

    chat = fake_chat(answer)
    controls = evaluate_photos(chat, photos, ask_many=chat.ask_many)["controls"]
    assert controls["alignment_bypassed"] == 0
    assert controls["alignment_bypassed_direct"] > 0


def test_a_limit_keeps_whole_photos_and_scales_the_rest(photos: list[Photo]) -> None:
    plan = make_plan(photos, seed=0, limit=2)
    assert len({case.photo_index for case in plan.cases}) == 1
    assert {task.image_key for task in make_tasks(plan)} == {
        plan.cases[0].photo.name, "blank {0}x{0}".format(plan.cases[0].photo.size[0])
    }  # fmt: skip
    assert plan.direct == {case.index: make_plan(photos, seed=0).direct[case.index] for case in plan.cases}
    with pytest.raises(ConfigError, match="at least 1 target, got 0"):
        make_plan(photos, seed=0, limit=0)


def stand_in(monkeypatch: pytest.MonkeyPatch, chat: Any) -> None:
    loaded = SimpleNamespace(Miras=SimpleNamespace(from_pretrained=lambda name, merge_lora: chat))
    monkeypatch.setitem(sys.modules, "miras.model.miras", loaded)
    monkeypatch.setitem(sys.modules, "miras.model.session", SimpleNamespace(ask_many=chat.ask_many))


def test_the_file_has_every_key_and_the_run_prints_a_table(
    perfect: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(monkeypatch, perfect)
    out = tmp_path / "new" / "photos.json"
    run_photos(data=data, split="val", out=out, seed=3)
    figures = json.loads(out.read_text(encoding="utf-8"))
    for key in KEYS.split():
        assert at(figures, key) is not None, key
    assert (figures["protocol"]["seed"], figures["protocol"]["split"], figures["protocol"]["model"]) == (
        3,
        "val",
        "nano",
    )
    assert sorted(path.name for path in out.parent.iterdir()) == ["photos.json"]
    printed = capsys.readouterr()
    assert "direct gIoU" in printed.out
    assert printed.err == ""


def test_two_runs_write_the_same_but_for_the_time(
    perfect: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, perfect)
    first, second = (run_photos(data, "val", tmp_path / name, limit=4) for name in ("a.json", "b.json"))
    for figures in (first, second):
        del figures["protocol"]["seconds"]
    assert first == second


def test_a_broken_run_leaves_the_old_file(
    fake_chat: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, fake_chat(lambda session, question: 1 / 0))
    out = tmp_path / "photos.json"
    out.write_text("old", encoding="utf-8")
    with pytest.raises(ZeroDivisionError):
        run_photos(data, "val", out)
    assert out.read_text(encoding="utf-8") == "old"
    with pytest.raises(IsADirectoryError, match="is a folder"):
        run_photos(data, "val", tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photos are not beside the project")
def test_a_perfect_model_on_real_photos(written: None, perfect: Any) -> None:
    figures = evaluate_photos(perfect, load_photos(SHARED, "val"), ask_many=perfect.ask_many, limit=60)
    expected = {
        "direct.giou": 1, "multi_turn.giou": 1, "format.seg_rate": 1, "format.false_seg_rate": 0,
        "answers.accuracy": 1, "controls.no_history": 0,
    }  # fmt: skip
    assert {key: at(figures, key) for key in expected} == expected
    assert figures["controls"]["other_phrase_drop"] > 0.5
