"""Settings: read with their types, replaced from the command line, refused by the name that was written."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from miras.config import PARTS, TrainConfig, load_config, plain
from miras.errors import ConfigError

LEAST = "run: runs/x\npreset: tiny\nparts: {lora: 1e-4, pyramid: 0.002}\n"


@pytest.fixture
def least(tmp_path: Path) -> Path:
    path = tmp_path / "least.yaml"
    path.write_text(LEAST, encoding="utf-8")
    return path


def test_values_get_the_types_of_their_fields(least: Path) -> None:
    config = load_config(least, ["betas=[0.8, 1]", "loss.dice=2", "clip=5", "minutes=null", "augment={flip: 1}"])
    assert config.parts == {"lora": 0.0001, "pyramid": 0.002}
    assert config.betas == (0.8, 1.0)
    assert (config.loss.dice, config.loss.bce, config.augment.flip) == (2.0, 2.0, 1.0)
    assert isinstance(config.clip, float)
    assert config.minutes is None


def test_overrides_reach_inside_and_take_away(least: Path) -> None:
    config = load_config(
        least, ["parts.lora=null", "parts.alignment=3e-4", "model.alignment=half", "steps=7", "warmup=0"]
    )
    assert config.parts == {"pyramid": 0.002, "alignment": 0.0003}
    assert config.model == {"alignment": "half"}
    assert config.steps == 7


def test_groups_are_laid_over_those_of_the_paper(least: Path) -> None:
    config = load_config(least, ["groups={vqa: [mine], more: [a, b]}", "sets=x", "sources={more: 2, captions: 1}"])
    assert config.all_groups["vqa"] == ["mine"]
    assert config.all_groups["more"] == ["a", "b"]
    assert config.all_groups["captions"] == ["coco_captions"]


def test_plain_values_make_the_same_configuration(least: Path) -> None:
    config = load_config(least, ["image_size_start=320", "loss.iou=0.2"])
    assert plain(asdict(config)) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("step=5", "step is not a setting; known: .*steps"),
        ("loss.dise=5", r"loss\.dise is not a setting"),
        ("parts.lara=1e-3", r"parts\.lara is not known; choose from .*lora"),
        ("parts.lora=0", r"parts\.lora must be above 0"),
        ("sources.fotos=1", r"sources\.fotos is not known"),
        ("sources.own=1", r"sources\.own needs own, the path of a JSONL"),
        ("sources.captions=1", r"sources\.captions needs sets, the folder of public data sets"),
        ("groups.mine=coco", r"groups\.mine is a list, got 'coco'"),
        ("groups.mine=[]", r"groups\.mine should name data sets"),
        ("groups.photos=[coco]", r"groups\.photos should name data sets and not be a source"),
        ("refusals=2", "refusals must be 0 to 1, got 2"),
        ("sources.photos=0.5", r"sources\.photos is a whole number, got 0\.5"),
        ("sources={}", "sources is empty"),
        ("dialogues.monologue=1", r"dialogues\.monologue is not known"),
        ("steps=many", "steps is a whole number, got 'many'"),
        ("steps=true", "steps is a whole number, got True"),
        ("clip=tight", "clip is a number, got 'tight'"),
        ("gradient_checkpointing=1", "gradient_checkpointing is true or false, got 1"),
        ("text=spoken", "text must be one of cached, joint, got 'spoken'"),
        ("schedule=3", "schedule must be one of linear, cosine"),
        ("betas=0.9", r"betas holds 2 values, got 0\.9"),
        ("parts=lora", "parts holds names with values, got 'lora'"),
        ("loss=2", "loss holds names with values, got 2"),
        ("run.folder=x", r"run\.folder reaches into run"),
        ("steps", "settings are written key=value, got 'steps'"),
        ("sources={", "is not YAML"),
        ("images=0", "images must be more than 0, got 0"),
        ("ema=1", "ema must be below 1"),
        ("augment.flip=2", r"augment\.flip must be 0 to 1, got 2"),
        ("mask_stride=3", "mask_stride must be 1, 2 or 4, got 3"),
        ("image_size=450", "image_size must be a multiple of 32 px, got 450"),
        ("image_size_start=300", "image_size_start must be a multiple of 32 px"),
        ("warmup=1000", "warmup must end before steps do"),
        ("init=runs/a", "either preset or init"),
        ("preset=null", "either preset or init"),
        ("augment.absent=0.1", r"augment\.absent needs text: cached"),
        ("text=cached", r"parts\.lora cannot be trained with text: cached"),
        ("sources.scenes=1", r"sources\.scenes pastes cut-outs, but cutouts is not set"),
    ],
)
def test_wrong_settings_are_refused_by_name(least: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(least, [override])


def test_contradictions_between_several_settings() -> None:
    base: dict[str, Any] = {"run": "x", "preset": "tiny", "parts": {"pyramid": 1e-3}, "text": "cached"}
    assert isinstance(plain(base), TrainConfig)
    with pytest.raises(ConfigError, match=r"sources\.dialogues needs text: joint"):
        plain(base | {"sources": {"dialogues": 1}})
    with pytest.raises(ConfigError, match=r"sources\.own needs text: joint"):
        plain(base | {"sources": {"own": 1}, "own": "a.jsonl"})
    with pytest.raises(ConfigError, match=r"val=a\.jsonl needs text: joint"):
        plain(base | {"val": "a.jsonl"})
    with pytest.raises(ConfigError, match=r"loss\.naming compares with the names of annotated photos"):
        plain(base | {"sources": {"own": 1}, "own": "a.jsonl", "text": "joint", "loss": {"naming": 1}})
    with pytest.raises(ConfigError, match="gradient_checkpointing saves nothing"):
        plain(base | {"gradient_checkpointing": True})
    with pytest.raises(ConfigError, match=r"model\.query_width changes a preset"):
        plain(base | {"preset": None, "init": "y", "model": {"query_width": 8}})
    with pytest.raises(ConfigError, match="parts is empty"):
        plain(base | {"parts": {}})
    with pytest.raises(ConfigError, match="run is missing"):
        plain({"preset": "tiny", "parts": {"lora": 1e-3}})


def test_a_missing_or_strange_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration at"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- a\n- b\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="should hold `key: value` lines, got list"):
        load_config(tmp_path / "list.yaml")


def test_every_part_of_the_paper_is_in_the_table() -> None:
    assert {"lora", "new_tokens", "fusion", "vision_projector", "mask_projector", "alignment", "mask_decoder"} <= set(
        PARTS
    )
