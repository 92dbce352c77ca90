"""Cached text states: those that the language model gives, for everything that can be asked for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from miras.data.augment import flip
from miras.data.photos import Photo, load_photos
from miras.data.scenes import Cutout
from miras.errors import DataError
from miras.model.checkpoint import fresh
from miras.model.configuration import preset
from miras.train.loop import Training
from miras.train.phrases import CONTEXTS, PhraseStates, all_phrases, phrase_states
from miras.train.stages import CachedText


def test_phrases_of_mirrored_photos_and_cutouts_are_known(garage: Photo) -> None:
    known = all_phrases([garage], [Cutout(Path("a.png"), "A Red Delicious 2"), Cutout(Path("b.png"), "raptor")])
    assert {thing.phrase for thing in flip(garage).objects} <= set(known)
    assert {"right mirror", "left mirror", "red delicious apple"} <= set(known)
    assert "" not in known
    assert known == sorted(set(known))


def test_a_phrase_is_picked_with_its_span() -> None:
    states = torch.arange(24.0).reshape(12, 2)
    # two phrases in two contexts, of 3, 2, 4 and 3 states
    cached = PhraseStates(states, torch.tensor([[0, 3, 5], [5, 9, 12]]), ["cat", "tiger"])
    picked, span = cached.pick(["tiger", "cat"], np.array([0, 1]))
    assert span.tolist() == [[1, 3], [1, 1]]
    assert torch.equal(picked[0], states[5:9])
    assert torch.equal(picked[1, :2], states[3:5])
    assert len(cached.spans()) == 12 - 4
    with pytest.raises(DataError, match="no text states for 'lion'"):
        cached.pick(["lion"], np.array([0]))


@pytest.mark.parametrize("alignment", ["full", "none", "half"])
def test_states_are_those_of_the_language_model(alignment: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = fresh(preset("tiny", alignment=alignment)).eval()
    told: list[tuple[int, int]] = []
    cached = phrase_states(model, ["cat", "old tree"], tmp_path, lambda *now: told.append(now))
    telling = [pair for pair in CONTEXTS if "{}" in pair[0]]
    expected_contexts = {
        "full": [(*pair, "[OBJ]old tree[SEG]") for pair in CONTEXTS],
        "none": [(*pair, "[SEG]") for pair in telling],
        "half": [(*pair, named) for named in ("[OBJ]old tree[SEG]", "[SEG]") for pair in telling],
    }[alignment]
    contexts = cached.first.shape[1] - 1
    assert contexts == len(expected_contexts)
    assert told[-1] == (2, 2) and len(list(tmp_path.iterdir())) == contexts
    encoder = model.processor.encoder
    for context in range(contexts):
        picked, span = cached.pick(["old tree"], np.array([context]))
        question, answer, named = expected_contexts[context]
        text = encoder.chat.user + question.format("old tree") + encoder.chat.assistant + answer.format(named)
        ids = torch.tensor([encoder.text(text)])
        end = ids[0].tolist().index(encoder.seg_id)
        with torch.no_grad():
            whole = model.language.states(model.language.embed(ids))
        length = int(span[0, 1])
        expected = whole[0, end - length : end + 1]
        assert torch.allclose(picked[0], expected, atol=0.1), context
        assert (ids[0, end - length + 1] == encoder.obj_id) == named.startswith("[OBJ]")


def test_states_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fresh(preset("tiny")).eval()
    first = phrase_states(model, ["cat"], tmp_path, lambda *_: None)
    calls: list[int] = []
    again = phrase_states(model, ["cat"], tmp_path, lambda done, _: calls.append(done))
    assert not calls
    assert torch.equal(first.states, again.states)
    with torch.no_grad():
        model.language.rows.add_(1)
    other = phrase_states(model, ["cat"], tmp_path, lambda done, _: calls.append(done))
    assert calls
    assert not torch.equal(first.states, other.states)
    assert len(list(tmp_path.glob("phrases-*.pt"))) == 2 * len(CONTEXTS)


def test_runs_of_other_seeds_share_states(tmp_path: Path) -> None:
    calls: list[int] = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = fresh(preset("tiny"))
        torch.manual_seed(2)  # tiny's language model is random, of a seed of its own; LoRA's start is the run's
        with torch.no_grad():
            for name, weight in model.language.named_parameters():
                if ".lora_" not in name:
                    weight.copy_(torch.randn_like(weight))
        phrase_states(model, ["cat"], tmp_path, lambda done, _: calls.append(done))
    assert len(list(tmp_path.glob("phrases-*.pt"))) == len(CONTEXTS)
    with torch.no_grad():
        for name, weight in model.language.named_parameters():
            if ".lora_B." in name:
                weight.add_(0.1)
    phrase_states(model, ["cat"], tmp_path, lambda *_: None)
    assert len(list(tmp_path.glob("phrases-*.pt"))) == 2 * len(CONTEXTS)


def test_the_language_model_is_gone_during_the_steps(training: Callable[..., Training], shapes: Path) -> None:
    made = training(text="cached")
    assert all(weight.is_meta for weight in made.model.language.parameters())
    assert not any(name.startswith("language") for name in made.ema.live)
    mean = made.model.mask_projector.mean
    assert mean.abs().sum() > 0
    assert torch.equal(mean, mean.to(torch.bfloat16).float())
    assert isinstance(made.mode, CachedText)
    said = {thing.phrase for photo in load_photos(shapes, "val") for thing in photo.objects}
    assert said <= set(made.mode.states.index)
