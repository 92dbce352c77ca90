"""Batches by number: the same for the same seed, in the ratios asked for, in any process, at any size."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from miras.train.batches import Batches, loader, named_samples
from miras.train.loop import Training
from miras.types import Batch

Prepared = Callable[..., Training]


def equal(first: Batch, second: Batch) -> bool:
    pairs = ((value, vars(second)[name]) for name, value in vars(first).items())
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


@pytest.mark.parametrize("text", ["joint", "cached"])
def test_the_same_seed_gives_the_same_batches(text: str, training: Prepared, tmp_path: Path) -> None:
    first = training(text=text, run=str(tmp_path / "a")).batches
    again = training(text=text, run=str(tmp_path / "b")).batches
    other = training(text=text, run=str(tmp_path / "c"), seed=1).batches
    assert all(equal(first[number], again[number]) for number in range(4))
    assert not all(torch.equal(first[number].high, other[number].high) for number in range(4))


def test_a_worker_gives_what_the_main_process_gives(training: Prepared) -> None:
    batches = training(workers=1).batches
    coming = loader(batches, 3)
    assert all(equal(next(coming), batches[number]) for number in (3, 4, 5))


def test_ratios_are_kept(training: Prepared) -> None:
    batches = training(sources={"photos": 3, "dialogues": 1}, images=4).batches
    assert all(_sources(batches, number) == {"photos": 3, "dialogues": 1} for number in range(6))


def _sources(batches: Batches, number: int) -> Counter[str]:
    return Counter(sample.source for sample in batches.samples(number))


def test_the_view_grows_where_the_switch_is(training: Prepared) -> None:
    batches = training(image_size_start=32, image_size_switch=0.5, mask_stride=4).batches
    assert [tuple(batches[number].high.shape[-2:]) for number in (2, 3)] == [(32, 32), (64, 64)]
    assert [tuple(batches[number].masks.shape[-2:]) for number in (2, 3)] == [(8, 8), (16, 16)]


def test_names_are_written_always_never_or_by_halves() -> None:
    rng = np.random.default_rng(0)
    assert named_samples("full", 3, rng) == [True] * 3
    assert named_samples("none", 3, rng) == [False] * 3
    assert 30 < sum(named_samples("half", 100, rng)) < 70


def test_the_mask_path_sees_what_the_whole_model_sees(training: Prepared) -> None:
    batches = training().batches
    samples = batches.samples(0)
    collator = batches.collator(64)
    whole, alone = collator(samples), collator.masks_only(samples)
    assert len(alone.masks)
    assert alone.phrases == whole.phrases
    for name in ("high", "masks", "content", "cells", "seg_image"):
        assert torch.equal(getattr(alone, name), getattr(whole, name)), name
    assert alone.input_ids.numel() == 0
