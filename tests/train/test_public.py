"""Public data sets and a user's own JSONL in training: ratios to the sample, short runs, and what is missing said."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.sets.tree import write_tree
from tests.sets.words import write_captions, write_llava, write_own, write_prist, write_train_refs

from miras.config import GROUPS, TrainConfig, plain
from miras.data.refcoco import IMAGES
from miras.errors import ConfigError, DataError
from miras.sets.catalogue import open_set
from miras.train.command import prepare, run_training
from miras.train.engine_processes import Processes
from miras.train.public import flat_ratios, sample_sets
from miras.train.validate import SetCases, make_cases

Settings = Callable[..., TrainConfig]
ALONE = Processes(torch.device("cpu"))
STAGE_1 = {"objects": 9, "regions": 6, "vqa": 2, "captions": 2}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of public data sets in their official files."""
    root = write_tree(tmp_path / "sets")
    for name in ("refclef", "refcoco", "refcoco+", "refcocog"):
        write_train_refs(root, name, "umd" if name == "refcocog" else "unc", IMAGES[name])
    for write in (write_llava, write_captions, write_prist):
        write(root)
    return root


@pytest.fixture
def told() -> Iterator[tuple[Console, StringIO]]:
    said = StringIO()
    return Console(file=said, width=300), said  # type: ignore[return-value]


def rows(config: TrainConfig) -> list[dict[str, Any]]:
    return list(map(json.loads, (Path(config.run) / "log.jsonl").read_text(encoding="utf-8").splitlines()))


def test_the_papers_first_stage_as_whole_numbers() -> None:
    config = plain({"run": "x", "preset": "tiny", "parts": {"lora": 1}, "sets": "x", "sources": STAGE_1})
    ratios = flat_ratios(config)
    assert ratios == {
        **dict.fromkeys(GROUPS["objects"], 9), **dict.fromkeys(GROUPS["regions"], 4), "llava_instruct": 8,
        "coco_captions": 8,
    }  # fmt: skip


@given(
    st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from("pqrstuv"), min_size=1, unique=True)),
    st.dictionaries(st.sampled_from("abcdpq"), st.integers(1, 12), min_size=1),
)
def test_a_groups_share_is_divided_evenly_and_exactly(groups: dict[str, list[str]], sources: dict[str, int]) -> None:
    config = plain(
        {"run": "x", "preset": "tiny", "parts": {"lora": 1}, "sets": "x", "sources": sources, "groups": groups}
    )
    ratios = flat_ratios(config)
    whole, total = sum(ratios.values()), sum(sources.values())
    for name, share in ratios.items():
        expected = sum(
            ratio / len(groups.get(source, [source]))
            for source, ratio in sources.items()
            if name in groups.get(source, [source])
        )
        assert share * total == pytest.approx(expected * whole)


def test_stage_1_of_the_paper_on_a_small_tree(tree: Path, settings: Settings, told: tuple[Console, StringIO]) -> None:
    config = settings(sets=str(tree), sources=STAGE_1, images=4, steps=5, targets=3, log_every=1)
    training = prepare(config, told[0], ALONE)
    drawn = Counter(sample.source for number in range(19) for sample in training.batches.samples(number))
    assert drawn == flat_ratios(config)
    by_group = {group: sum(drawn[name] for name in members) for group, members in GROUPS.items()}
    assert by_group == {name: 4 * ratio for name, ratio in STAGE_1.items()}
    run_training(config, told[0])
    losses = [row["loss"] for row in rows(config)]
    assert len(losses) == 5 and all(map(isfinite, losses))
    said = told[1].getvalue()
    assert "refcoco: 2 items; left out: 1 of a crowd, 1 without an outline, 1 without words" in said
    assert "llava_instruct: 2 items; left out: 1 without an image file" in said
    assert "no validation" not in said


def test_own_data_alone_trains_and_validates(
    settings: Settings, told: tuple[Console, StringIO], tmp_path: Path
) -> None:
    path = write_own(tmp_path)
    config = settings(
        data="nowhere", sources={"own": 1}, own=str(path), val=str(path), val_targets=3, validate_minutes=0.0, workers=1
    )
    run_training(config, told[0])
    log = rows(config)
    assert all(isfinite(row["loss"]) for row in log if "loss" in row)
    assert any("giou" in json.dumps(row) for row in log if "loss" not in row)
    assert (tmp_path / "run" / "model" / "config.json").is_file()
    assert "own: 4 items" in told[1].getvalue()


def test_without_val_own_data_is_not_validated_and_that_is_said(
    settings: Settings, told: tuple[Console, StringIO], tmp_path: Path
) -> None:
    config = settings(data="nowhere", sources={"own": 1}, own=str(write_own(tmp_path)), val_targets=3, steps=2)
    assert prepare(config, told[0], ALONE).validate is None
    assert "no validation: val names nothing" in told[1].getvalue()


def test_stage_2_mixes_prist_with_vqa(tree: Path, settings: Settings, told: tuple[Console, StringIO]) -> None:
    config = settings(sets=str(tree), sources={"prist": 4, "vqa": 1}, images=5, steps=2)
    batches = prepare(config, told[0], ALONE).batches
    for number in range(2):
        assert Counter(one.source for one in batches.samples(number)) == {"prist": 4, "llava_instruct": 1}
        assert len(batches[number].masks) == 4


def test_public_sets_go_beside_photos(tree: Path, settings: Settings, told: tuple[Console, StringIO]) -> None:
    config = settings(sets=str(tree), sources={"photos": 1, "captions": 0, "refcoco": 1}, val_targets=4)
    training = prepare(config, told[0], ALONE)
    assert Counter(one.source for one in training.batches.samples(0)) == {"photos": 1, "refcoco": 1}
    assert training.validate is not None and training.validate()["giou"] >= 0


def test_a_public_set_can_be_validated_on(tree: Path, settings: Settings) -> None:
    config = settings(sets=str(tree), sources={"prist": 1}, val="refcoco", val_targets=1)
    cases = make_cases(config)
    assert isinstance(cases, SetCases) and len(cases) == 1
    sample = cases.sample(0, np.random.default_rng(0))
    assert [len(one.targets) for one in sample.dialogues].count(1) == len(sample.dialogues) >= 1
    with pytest.raises(DataError, match=r"coco val needs .*instances_val2017\.json"):
        make_cases(settings(sets=str(tree), sources={"prist": 1}, val="coco", val_targets=5))


def test_what_cannot_be_validated_on_is_named(tree: Path, settings: Settings, tmp_path: Path) -> None:
    sources = {"sets": str(tree), "sources": {"prist": 1}, "val_targets": 5}
    with pytest.raises(ConfigError, match="llava_instruct has the splits train, got 'val'"):
        make_cases(settings(**sources, val="llava_instruct"))
    with pytest.raises(ConfigError, match=r"val should be photos, a \.jsonl or"):
        make_cases(settings(val="refcoco", val_targets=5))
    (tmp_path / "talk").mkdir()
    line = '{"image": "../sets/coco/train2017/1.jpg", "dialogue": [{"from": "human", "value": "a"}, ' \
           '{"from": "gpt", "value": "b"}]}'  # fmt: skip
    path = write_own(tmp_path / "talk", [line])
    with pytest.raises(ConfigError, match="holds no mask to validate on"):
        make_cases(settings(**sources, val=str(path)))


def test_what_is_missing_is_said_before_the_model_is_made(
    tree: Path, settings: Settings, told: tuple[Console, StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miras.train.command.start_model", partial(pytest.fail, "a model was made"))
    with pytest.raises(ConfigError, match="there is no set 'madeup'; choose one of coco, "):
        prepare(settings(sets=str(tree), sources={"madeup": 1}), told[0], ALONE)
    with pytest.raises(DataError, match=r"coco_captions train needs .*captions_train2017\.json"):
        prepare(settings(sets=str(tree.parent), sources={"captions": 1}), told[0], ALONE)
    with pytest.raises(DataError, match="no file at"):
        prepare(settings(sources={"own": 1}, own=str(tree / "own.jsonl")), told[0], ALONE)


def test_samples_do_not_depend_on_what_was_drawn_before(tree: Path, settings: Settings) -> None:
    config = settings(sets=str(tree), sources={"refcoco": 1})
    first, second = (sample_sets({"refcoco": open_set("refcoco", tree, "train")}, config)["refcoco"] for _ in range(2))
    second.sample(1, 4)
    assert first.sample(0, 9).dialogues == second.sample(0, 9).dialogues


def test_a_run_may_start_from_an_embedded_model(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: tuple[Console, StringIO]
) -> None:
    own = str(write_own(tmp_path))
    run_training(settings(sources={"own": 1}, own=own, steps=2, run=str(tmp_path / "first")), told[0])
    embedded = tmp_path / "embedded"
    embedded.mkdir()
    (tmp_path / "first" / "model").rename(embedded / "small")
    for module in ("miras.model.checkpoint", "miras.train.stages"):
        monkeypatch.setattr(f"{module}.EMBEDDED", embedded)
    config = settings(preset=None, init="small", sources={"own": 1}, own=own, steps=2)
    assert len(prepare(config, told[0], ALONE).batches) == 2
