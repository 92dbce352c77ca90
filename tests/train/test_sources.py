"""Samples: the same for the same seed, balanced, in the ratios asked for, and true to the photo they show."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from miras.config import TrainConfig
from miras.data.masks import area, decode
from miras.data.photos import Photo, load_photos
from miras.data.scenes import Cutout, load_cutouts
from miras.sets.scene import SampleSet
from miras.tokens import parse
from miras.train.phrases import all_phrases
from miras.train.sources import DialogueSource, PhotoSource, Pool, SceneSource, make_sources, pack
from miras.types import Dialogue, Sample

Settings = Callable[..., TrainConfig]


def words(dialogue: Dialogue) -> int:
    return sum(len(turn.text.split()) for turn in dialogue.turns)


def pool_of(photos: list[Photo], **changes: Any) -> Pool:
    settings: dict[str, Any] = {"targets": 3, "tokens": 120, "length": words}
    return Pool(photos, **(settings | changes))


@pytest.fixture
def every(settings: Settings, shapes: Path) -> list[SampleSet]:
    """Each source on the handmade shapes, changed in every way."""
    config = settings(augment={"absent": 0.0})
    pool = pool_of(load_photos(shapes, "train"))
    rgba = np.zeros((30, 20, 4), np.uint8)
    rgba[5:25, 5:15] = (200, 0, 200, 255)
    return [
        PhotoSource(pool, config.augment),
        SceneSource(pool, config.augment, [Cutout(Path("plum.png"), "plum", array=rgba)]),
        DialogueSource(pool, config.augment, config.dialogues),
    ]


def check_sample(sample: Sample) -> None:
    (dialogue,) = sample.dialogues
    phrases = [phrase for answer in dialogue.answers for phrase in parse(answer)]
    assert phrases == [target.phrase for target in dialogue.targets]
    for target in dialogue.targets:
        assert target.mask is not None
        assert tuple(target.mask["size"]) == sample.image.shape[:2]


def test_a_sample_is_its_item_and_seed(every: list[SampleSet]) -> None:
    for source in every:
        first, again, other = source.sample(3, 11), source.sample(3, 11), source.sample(3, 12)
        assert np.array_equal(first.image, again.image)
        assert first.dialogues == again.dialogues
        assert first.dialogues != other.dialogues or not np.array_equal(first.image, other.image)


def test_samples_hold_one_conversation_and_its_masks(every: list[SampleSet]) -> None:
    for source in every:
        for seed in range(25):
            sample = source.sample(seed % len(source), seed)
            check_sample(sample)
            assert sample.image.dtype == np.uint8
    kinds = Counter(every[2].sample(0, seed).dialogues[0].kind for seed in range(60))
    assert {"mixed", "chat"} < set(kinds)


def test_requests_are_added_while_there_is_room(shapes: Path) -> None:
    photo = load_photos(shapes, "train")[0]
    rng = np.random.default_rng(0)
    assert len(pool_of([photo], targets=2, tokens=1000).requests(photo, rng).targets) == 2
    assert len(pool_of([photo], targets=1, tokens=1000).requests(photo, rng).targets) == 1
    assert len(pool_of([photo], targets=2, tokens=1).requests(photo, rng).targets) == 1
    first = pool_of([photo]).requests(photo, rng)
    assert pack(first, first).turns == first.turns * 2
    assert pool_of([photo], tokens=1).requests(photo, rng, first) == first


def test_only_a_quiz_is_cut_and_then_nothing_at_the_border_is_denied(shapes: Path, settings: Settings) -> None:
    changes = settings(augment={"zoom": 1.0, "jitter": 0.0}).augment
    photos = load_photos(shapes, "train")
    for kind in ("quiz", "multi_turn", "mixed", "unclear"):
        source = DialogueSource(pool_of(photos, tokens=1), changes, {kind: 1.0})
        samples = [source.sample(item, item) for item in range(len(source))]
        cut = [sample for sample in samples if sample.image.shape[:2] != photos[0].size]
        assert (len(cut) > len(samples) / 2) == (kind == "quiz")
        assert not {"Yes.", "No."} & {answer for sample in cut for answer in sample.dialogues[0].answers}


def test_absent_things_have_an_empty_mask(shapes: Path, settings: Settings, garage: Photo) -> None:
    config = settings(text="cached", augment={"absent": 1.0, "zoom": 0.0, "zoom_small": 0.0})
    photos = load_photos(shapes, "train")
    source = PhotoSource(pool_of(photos), config.augment)
    sample = source.sample(0, 5)
    asked = sample.dialogues[0].targets[-1]
    assert asked.mask is not None
    assert area(asked.mask) == 0
    present = {thing.class_name for thing in source.pool.photo(0).objects}
    assert asked.phrase not in present


def test_rare_classes_come_more_often(shapes: Path) -> None:
    photos = load_photos(shapes, "train")
    many = [photos[0]] * 30 + [photo for photo in photos if not _shared(photo, photos[0])][:1]
    pool = pool_of(many)
    times = Counter(pool.listed.tolist())
    assert sum(times.values()) == pytest.approx(4 * len(many), abs=1)
    assert times[30] > 2 * max(times[index] for index in range(30))
    assert min(times.values()) >= 1


def test_small_things_and_those_singled_out_are_picked_more_often(garage: Photo, shapes: Path) -> None:
    pool, rng = pool_of(load_photos(shapes, "train")), np.random.default_rng(0)
    both = [replace(garage.objects[2], phrase=phrase, class_name="wheel") for phrase in ("wheel", "leftmost wheel")]
    first = Counter(pool.pick(both, 1, rng)[0].phrase for _ in range(400))
    assert 1.2 < first["leftmost wheel"] / first["wheel"] < 2.1  # 1.6 is meant
    sizes = [replace(both[0], area=area) for area in (0.001, 0.5)]
    small = Counter(pool.pick(sizes, 1, rng)[0].size for _ in range(400))
    assert 1.15 < small["fine"] / small["coarse"] < 2.0  # 1.5 is meant


def _shared(photo: Photo, other: Photo) -> set[str]:
    return {thing.class_name for thing in photo.objects} & {thing.class_name for thing in other.objects}


def test_real_samples_are_true_and_their_phrases_known(
    shared_photos: Path, shared_cutouts: Path, settings: Settings
) -> None:
    config = settings(
        data=str(shared_photos), cutouts=str(shared_cutouts), sources={"photos": 1, "scenes": 1, "dialogues": 1}
    )
    known = set(all_phrases(load_photos(shared_photos, "train"), load_cutouts(shared_cutouts)))
    sources, ratios = make_sources(config, words)
    assert ratios == [1, 1, 1]
    rng = np.random.default_rng(0)
    for source in sources:
        for item in rng.integers(len(source), size=12):
            sample = source.sample(int(item), int(item) + 1)
            check_sample(sample)
            for target in sample.dialogues[0].targets:
                assert target.phrase in known
                assert target.mask is not None
                assert decode(target.mask).any()
