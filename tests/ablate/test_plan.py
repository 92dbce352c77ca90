"""Plans: what each variant trains, and that the plan of the package changes what its rows say."""

from pathlib import Path

import pytest

from miras.ablate.plan import read_plan
from miras.config import PARTS
from miras.errors import ConfigError

MORE = {"data": "photos", "val_targets": 0}


def test_every_variant_of_nano_is_a_run_that_can_be_trained(tmp_path: Path) -> None:
    plan = read_plan("nano")
    runs = {variant.name: plan.configs(variant, 2, tmp_path, MORE) for variant in plan.variants}
    assert list(runs) == [
        "full", "single_encoder", "half_alignment", "no_alignment", "global_fusion", "no_stage1",
    ]  # fmt: skip
    first, second = runs["full"]
    assert (first.preset, first.init, second.preset, second.init) == ("nano", None, None, first.run)
    assert first.seed == second.seed == 2 and first.data == "photos" and first.val_targets == 0
    for name, configs in runs.items():
        if name != "no_stage1":
            assert [(c.steps, c.images, c.image_size) for c in configs] == [
                (c.steps, c.images, c.image_size) for c in (first, second)
            ], "an equal budget"


def test_variants_change_what_they_say() -> None:
    plan = read_plan("nano")
    by_name = {variant.name: plan.configs(variant, 0, Path("out"), MORE) for variant in plan.variants}
    assert by_name["full"][0].model == {}
    assert by_name["single_encoder"][0].model == {"fusion": "none"}
    assert by_name["half_alignment"][0].model == {"alignment": "half"}
    assert by_name["global_fusion"][0].model == {"fusion": "global"}
    assert not any("fusion" in config.parts for config in by_name["single_encoder"])
    assert not any("alignment" in config.parts for config in by_name["no_alignment"])
    [only] = by_name["no_stage1"]
    assert only.text == "joint" and only.preset == "nano" and only.init is None
    both = {part for config in by_name["full"] for part in config.parts}
    assert set(only.parts) == both <= set(PARTS), "what both stages train is trained by the one"


def test_settings_are_laid_over_a_plan() -> None:
    plan = read_plan("nano", ["stages.stage1.steps=30", "stages.stage2.parts.lora=0.1", "preset=tiny"])
    first, second = plan.configs(plan.variants[0], 0, Path("out"), MORE)
    assert (first.preset, first.steps, second.parts["lora"]) == ("tiny", 30, 0.1)


def test_a_part_of_the_variants(tmp_path: Path) -> None:
    plan = read_plan("nano")
    assert [variant.name for variant in plan.only(["no_stage1", "full"]).variants] == ["full", "no_stage1"]
    with pytest.raises(ConfigError, match=r"variants are full, .*, got 'fast'"):
        plan.only(["fast"])


def test_wrong_plans_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"plans are nano, got 'huge'"):
        read_plan("huge")
    own = tmp_path / "own.yaml"
    own.write_text("preset: tiny\nstages: {}\n")
    with pytest.raises(ConfigError, match="check variants"):
        read_plan(str(own))
    own.write_text("preset: tiny\nstages: {}\nvariants: {a: {titel: A}}\n")
    with pytest.raises(ConfigError, match="titel is not a setting"):
        read_plan(str(own))
    with pytest.raises(ConfigError, match="no configuration at"):
        read_plan(str(tmp_path / "none.yaml"))
