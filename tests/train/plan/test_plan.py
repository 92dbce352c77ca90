"""The plan of a run: from its configuration alone, shared as ZeRO shares it, and what to change."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from miras.cli import app
from miras.config import TrainConfig
from miras.errors import ConfigError
from miras.train.plan.advice import advise
from miras.train.plan.estimate import Plan, plan_run
from miras.train.plan.machines import Machine, machine, machines
from miras.train.plan.memory import GIB, Part, ledger
from miras.train.plan.outline import model_config
from miras.train.plan.rehearsal import Rehearsed
from miras.train.plan.shape import batch_shape, make_batch

Settings = Callable[..., TrainConfig]
CONFIGS = Path(__file__).resolve().parents[3] / "configs"
SMALL = Machine("small", memory=0.001, bf16=1, fp32=1, bandwidth=100, source="none")


def test_zero_shares_what_it_says(settings: Settings) -> None:
    config = settings(accumulate=4)
    step = Rehearsed(kept=1000, peak=1500, gradients=400, forward=1, backward=2)
    weights = [Part("language model", frozen=800, frozen_bytes=1600), Part("LoRA", trained=100, trained_bytes=400)]
    rows = {
        zero: ledger(config, weights, step, machine("h100"), processes=4, zero=zero, batch=10) for zero in (0, 2, 3)
    }
    assert [rows[zero]["frozen weights"] for zero in (0, 2, 3)] == [1600, 1600, 400]
    assert [rows[zero]["trained weights"] for zero in (0, 2, 3)] == [400, 400, 100]
    assert [rows[zero]["fp32 masters"] for zero in (0, 2, 3)] == [0, 100, 100]
    assert [rows[zero]["gradients"] for zero in (0, 2, 3)] == [400, 400, 100]
    assert [rows[zero]["optimizer states"] for zero in (0, 2, 3)] == [800, 200, 200]
    assert rows[0]["activations kept"] == 1000
    assert rows[0]["workspace"] == 100
    assert rows[0]["running mean"] == 400
    cached = ledger(replace(config, text="cached", parts={"pyramid": 1e-3}), weights, step, machine("cpu"), processes=1,
                    zero=0, batch=10)  # fmt: skip
    assert cached["frozen weights"] == 0


@pytest.mark.parametrize("text", ["joint", "cached"])
def test_a_plan_reads_nothing(text: str, settings: Settings) -> None:
    made = plan_run(settings(text=text, data="nowhere", loss={"naming": 0.2}), machine("cpu"))
    counted = {part.name: (part.frozen, part.trained) for part in made.parts}
    layer = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128 + 2 * 64  # q and o, k and v, the MLP, two norms
    assert counted["language model"] == (320 * 64 + 2 * layer + 64, 0)
    lora = 2 * (4 * (64 + 64) + 4 * (64 + 32))
    assert counted["LoRA"] == ((0, lora) if text == "joint" else (lora, 0))
    assert made.fits
    assert made.flops > 0
    assert made.needed == sum(made.memory.values())
    assert made.seconds_per_step * made.shape.images > 0


def test_batches_have_the_shape_they_are_planned_with(settings: Settings) -> None:
    config = settings(images=3, targets=4, sources={"photos": 1, "dialogues": 1})
    made = model_config(config)
    shape = batch_shape(config, made)
    batch = make_batch(shape, made)
    assert batch.input_ids.shape == (3, shape.tokens)
    assert batch.masks.shape == (shape.targets, 32, 32)
    assert int((batch.input_ids[0] == made.language["vocab_size"] + 2).sum()) == int(batch.cells[0].sum())
    assert batch.high.device.type == "meta"


def test_more_images_keep_more_and_frozen_encoders_features_less(settings: Settings) -> None:
    parts = {"lora": 1e-3, "fusion": 1e-3}
    one, two = (plan_run(settings(images=count, parts=parts), machine("cpu")) for count in (2, 4))
    assert 1.7 < two.memory["activations kept"] / one.memory["activations kept"] < 2.3
    without = plan_run(settings(images=2, parts=parts), machine("cpu"), kept_features=True)
    assert without.flops < one.flops
    assert without.memory["frozen weights"] < one.memory["frozen weights"]
    assert one.feature_bytes > 0


def test_an_init_that_is_still_to_be_made_is_found_beside() -> None:
    from miras.config import load_config

    config = load_config(CONFIGS / "nano_stage2.yaml")
    if not Path(str(config.init)).exists():
        assert model_config(config, CONFIGS).language["hidden_size"] == 576
        with pytest.raises(ConfigError, match="holds no run yet"):
            model_config(config)


def test_advice_comes_in_the_order_of_least_harm(settings: Settings) -> None:
    pytest.importorskip("bitsandbytes")
    config = settings(images=4, parts={"lora": 1e-3})

    def planned(config: TrainConfig, kept: bool) -> Plan:
        return plan_run(config, SMALL, kept_features=kept)

    first = planned(config, False)
    assert not first.fits
    changes = advise(config, first, planned)
    assert [change.settings.split("=")[0] for change in changes] == [
        "gradient_checkpointing", "images", "features", "quantize",
    ]  # fmt: skip
    needed = [first.needed, *(change.plan.needed for change in changes)]
    assert needed == sorted(needed, reverse=True)
    assert changes[1].settings == "images=1 accumulate=4"
    large = replace(SMALL, memory=changes[0].plan.needed / GIB / 0.95 + 1e-6)
    enough = advise(config, first, lambda config, kept: plan_run(config, large, kept_features=kept))
    assert [change.plan.fits for change in enough] == [True]


def test_a_plan_in_4_bits_counts_them_and_leaves_true_models_alone(settings: Settings) -> None:
    functional = pytest.importorskip("bitsandbytes").functional
    functional.name2qmap.pop("dynamic", None)
    whole, small = (
        plan_run(settings(quantize=kind, parts={"lora": 1e-3}), machine("rtx4090")) for kind in (None, "nf4")
    )
    matrices = 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128)
    lost = whole.memory["frozen weights"] - small.memory["frozen weights"]
    # half a byte each, a byte of scale per 64, and 4 bytes per 256 scales, of which each matrix has one block at least
    assert lost == matrices * 4 - matrices // 2 - matrices // 64 - 4 * 14
    assert whole.flops == small.flops
    assert not functional.name2qmap["dynamic"].is_meta


def test_wrong_numbers_of_gpus_are_refused(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="accumulate 1 counts the batches of all 2 GPUs"):
        plan_run(settings(), machine("h100"), gpus=2)
    with pytest.raises(ConfigError, match="--gpu must be one of h200, h100"):
        machine("abacus")


def test_every_machine_has_its_source() -> None:
    assert {"h200", "h100", "a100-80", "a100-40", "l40s", "rtx6000ada", "a6000", "rtx4090", "rtx3090", "cpu"} == set(
        machines()
    )
    assert all(each.bf16 >= each.fp32 for each in machines().values())


def test_the_command_prints_and_writes_json() -> None:
    called = CliRunner().invoke(app, ["train", str(CONFIGS / "tiny.yaml"), "--plan", "--gpu", "rtx3090", "--json"])
    assert called.exit_code == 0, called.output
    told = json.loads(called.output)
    assert told["fits"] is True
    assert told["changes"] == []
    assert told["memory"]["activations kept"] > 0
    shown = CliRunner().invoke(app, ["train", str(CONFIGS / "tiny.yaml"), "--plan", "--mfu", "0.5"])
    assert "at 50% of the peak (assumed)" in " ".join(shown.output.split())
