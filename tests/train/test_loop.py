"""The loop: stopped and resumed it is one run, what is named moves, and what goes wrong is skipped or said."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from miras.config import PARTS, TrainConfig
from miras.errors import MirasError
from miras.train import loop
from miras.train.command import run_training
from miras.train.logs import RunLog
from miras.train.loop import LOST, Training, learning_share
from miras.train.stages import JointText, halve_frozen
from miras.types import Batch, ModelOutput

Settings = Callable[..., TrainConfig]
Prepared = Callable[..., Training]


def steps_of(config: TrainConfig) -> list[dict[str, Any]]:
    rows = map(json.loads, (Path(config.run) / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return [{k: v for k, v in row.items() if "second" not in k and k != "peak_gib"} for row in rows if "loss" in row]


def take(training: Training, steps: int) -> None:
    coming = loop.loader(training.batches, training.step * training.config.accumulate)
    for _ in range(steps):
        training._step(coming)


@pytest.mark.parametrize("text", ["joint", "cached"])
def test_stop_and_resume_is_one_run(
    text: str, settings: Settings, silent: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more: dict[str, Any] = {"text": text, "accumulate": 2, "image_size_start": 32}
    if text == "joint":
        more["model"] = {"lora": {"r": 2, "alpha": 4, "dropout": 0.1, "targets": ["q_proj"]}}
    whole, parted = (settings(**more, run=str(tmp_path / name)) for name in ("whole", "parted"))
    run_training(whole, silent)

    original, taken = Training._step, 0

    def interrupt(self: Training, coming: Iterator[Batch]) -> None:
        nonlocal taken
        original(self, coming)
        taken += 1
        if taken == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Training, "_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_training(parted, silent)
    assert len(steps_of(parted)) == 3
    run_training(parted, silent)
    assert taken == 6
    assert steps_of(parted) == steps_of(whole)
    first, second = (torch.load(Path(run.run) / "last.pt", weights_only=True) for run in (whole, parted))
    assert all(torch.equal(first["ema"][name], second["ema"][name]) for name in first["ema"])


def test_losses_fall(training: Prepared, tmp_path: Path) -> None:
    made = training(text="cached", steps=60, images=4, log_every=10)
    with RunLog(tmp_path, Console(quiet=True), steps=60, done=0) as log:
        assert made.run(log)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]


@pytest.mark.parametrize("part", sorted(PARTS))
def test_what_is_named_moves_and_nothing_else(part: str, training: Prepared) -> None:
    # the gate of the fusion starts at 0, and so what feeds it moves from the second step on
    made = training(parts={part: 1e-2}, steps=4, sources={"photos": 1, "dialogues": 1}, loss={"iou": 1.0})
    before = {name: weight.clone() for name, weight in made.model.state_dict().items()}
    take(made, 4)
    moved = {name for name, weight in made.model.state_dict().items() if not torch.equal(weight, before[name])}
    named = {name for name, weight in made.model.named_parameters() if weight.requires_grad}
    assert moved, part
    assert moved <= named
    # a key's bias shifts all scores of a softmax alike, so it has no gradient
    still = {name for name in named - moved if not name.endswith(("k.bias", "in_proj_bias"))}
    assert not still, f"{part} should move whole"


def test_every_module_of_figure_4_is_saved_and_can_be_trained(training: Prepared) -> None:
    made = training(parts=dict.fromkeys(PARTS, 1e-3))
    state = made.model.state_dict()
    for prefix in ("vision.low", "vision.high", "vision.fusion", "vision.projector", "language.lm", "language.rows",
                   "mask_projector", "alignment", "pixel.pyramid", "pixel.mask_decoder"):  # fmt: skip
        assert any(name.startswith(prefix) for name in state), prefix
    frozen = {name for name, weight in made.model.named_parameters() if not weight.requires_grad}
    assert all(name.startswith("language.lm.") and "lora_" not in name for name in frozen)


class _Broken(JointText):
    """Gives no number for the mask of some batches."""

    def __init__(self, broken: set[int]) -> None:
        super().__init__()
        self.broken, self.calls = broken, 0

    def run(self, model: Any, batch: Batch, rng: np.random.Generator) -> ModelOutput:
        output = super().run(model, batch, rng)
        if self.calls in self.broken:
            output.mask_logits = output.mask_logits * float("nan")
        self.calls += 1
        return output


def test_a_step_without_a_finite_loss_is_left_out(training: Prepared) -> None:
    made = training()
    made.engine.inner.mode = _Broken({1})
    take(made, 1)
    before = {name: tensor.clone() for name, tensor in made.ema.live.items()}
    take(made, 1)
    assert all(torch.equal(before[name], tensor) for name, tensor in made.ema.live.items())
    assert (made.step, made.skipped, made.lost) == (2, 1, 1)
    take(made, 1)
    assert (made.step, made.skipped, made.lost) == (3, 1, 0)
    assert any(not torch.equal(before[name], tensor) for name, tensor in made.ema.live.items())


def test_a_run_ends_when_no_loss_is_finite(training: Prepared) -> None:
    made = training(steps=100, images=1)
    made.engine.inner.mode = _Broken(set(range(100)))
    with pytest.raises(MirasError, match=f"not finite for {LOST} steps.*lower the learning rates"):
        take(made, 100)
    assert made.step == LOST


def test_learning_rates_warm_up_and_fall(settings: Settings) -> None:
    config = settings(steps=110, warmup=10)
    assert learning_share(config, 0) == pytest.approx(0.1)
    assert learning_share(config, 9) == learning_share(config, 10) == 1
    assert learning_share(config, 60) == pytest.approx(0.5)
    cosine = settings(steps=110, warmup=10, schedule="cosine", lr_floor=0.1)
    assert learning_share(cosine, 60) == pytest.approx(0.55)
    assert 0.1 < learning_share(cosine, 109) < 0.102


def test_a_run_with_other_settings_is_refused(settings: Settings, silent: Console) -> None:
    run_training(settings(steps=2), silent)
    with pytest.raises(MirasError, match="holds a run with steps 2, now it is 3"):
        run_training(settings(steps=3), silent)
    run_training(settings(steps=2, workers=1, log_every=2), silent)


def test_time_ends_a_run_and_the_next_goes_on(settings: Settings, silent: Console) -> None:
    run_training(settings(minutes=0.0), silent)
    assert [row["step"] for row in steps_of(settings())] == [1]
    run_training(settings(), silent)
    assert [row["step"] for row in steps_of(settings())] == [1, 2, 3, 4, 5, 6]


def test_bf16_keeps_the_frozen_language_model_small(training: Prepared) -> None:
    made = training(precision="bf16")
    kinds = {weight.dtype for name, weight in made.model.named_parameters() if not weight.requires_grad
             and name.startswith("language.lm.")}  # fmt: skip
    assert kinds == {torch.bfloat16}
    assert all(tensor.dtype == torch.float32 for tensor in made.ema.live.values())
    take(made, 2)
    assert made.skipped == 0


@pytest.mark.parametrize("text", ["joint", "cached"])
def test_what_is_computed_again_changes_nothing(text: str, training: Prepared) -> None:
    more: dict[str, Any] = {"text": text, "parts": {"pyramid": 1e-3, "high_stage16": 1e-3, "high_stage32": 1e-3}}
    if text == "joint":
        more["model"] = {"lora": {"r": 2, "alpha": 4, "dropout": 0.1, "targets": ["q_proj"]}}
        more["parts"] |= {"lora": 1e-3, "low_stage32": 1e-3}
    plain, again = training(**more), training(**more, gradient_checkpointing=True)
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    for stage in ("stage8", "stage32"):
        again.model.vision.high.get_submodule(f"{stage}.0.depthwise").register_forward_hook(count)
    for made in (plain, again):
        take(made, 2)
    assert calls == 2 * 2 + 2  # what is frozen is computed once, what is trained a second time in the backward pass
    first, second = (made.engine.weights() for made in (plain, again))
    assert all(torch.equal(first[name], tensor) for name, tensor in second.items())


def test_frozen_weights_are_small_on_a_gpu(training: Prepared) -> None:
    made = training(parts={"mask_decoder": 1e-3}, precision="bf16")
    halve_frozen(made.model, torch.device("cuda"))
    kinds = {(weight.requires_grad, weight.dtype) for weight in made.model.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    with torch.autocast("cpu", torch.bfloat16):
        losses = made._losses(made.batches[0], 0)
    losses.total.backward()
    assert losses.total.isfinite()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in made.engine.trained.values())
