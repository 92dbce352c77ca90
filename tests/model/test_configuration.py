"""Configurations: the presets, what changes in them, and what contradicts itself."""

from typing import Any

import pytest

from miras.errors import ConfigError
from miras.model.build import build, build_processor
from miras.model.configuration import MirasConfig, preset
from miras.model.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name: str) -> None:
    config = preset(name)
    again = MirasConfig.from_dict(config.to_dict())
    assert again.to_dict() == config.to_dict() and again.views() == config.views()


def test_presets_do_not_share_what_is_changed() -> None:
    preset("tiny").language["vocab_size"] = 1
    assert preset("tiny").language["vocab_size"] == 320


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"high": {"kind": "efficientnet-lite", "width": 0.2, "depth": 0.3, "size": 100}}, "multiple of 32"),
        ({"image_grid": 3}, "image_grid must be the cells per side"),
        ({"max_context": 4096}, "max_context must be at most"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        preset("tiny", **changes)


def test_unknown_presets_and_values_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"presets are tiny, nano, 4b, 7b.*got 'mini'"):
        preset("mini")
    with pytest.raises(Exception, match="alignment"):
        preset("tiny", alignment="some")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusion": "global"}, "fusion global needs a high-resolution encoder"),
        ({"pixel": {"kind": "sam2"}}, "pixel.kind sam2 works on the high-resolution encoder's maps"),
        ({"low": {"colours": "sepia"}}, "colours must be one of .*got 'sepia'"),
        ({"low": {"kind": "eye", "size": 28, "patch_size": 14}}, "kind must be one of .*got 'eye'"),
    ],
    ids=str,
)
def test_what_the_parts_need_is_there(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(config := preset("tiny-lisa-7b", **changes), build_processor(config))


def test_a_part_changes_in_what_is_named() -> None:
    config = preset("7b", sources={"language": "/weights/llava"}, low={"layer": -1}, lora={})
    assert config.sources["language"] == "/weights/llava" and config.sources["pixel"] == "facebook/sam-vit-huge"
    assert config.low["layer"] == -1 and config.low["size"] == 336 and config.lora == {}
    assert preset("7b", high={"kind": "hiera", "size": 1024}).high == {"kind": "hiera", "size": 1024}
