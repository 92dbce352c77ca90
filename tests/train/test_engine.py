"""The face of an engine: what is shared out, what a step is, what is refused, and what a checkpoint gives back."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from miras.config import TrainConfig
from miras.errors import ConfigError
from miras.train import engine_processes
from miras.train.batches import loader
from miras.train.command import prepare, run_training
from miras.train.engine import Pass, fill_gradients, poisoned
from miras.train.engine_processes import Processes, joined
from miras.train.loop import Training
from miras.train.state import LAST, MOMENTS, Moments, read, write
from miras.types import ModelOutput

Settings = Callable[..., TrainConfig]
Prepared = Callable[..., Training]
ALONE = Processes(torch.device("cpu"))


def launched(monkeypatch: pytest.MonkeyPatch, config: TrainConfig, count: int) -> None:
    """What a process that was started as one of `count` says, before it talks to the others."""
    monkeypatch.setenv("WORLD_SIZE", str(count))
    with ExitStack() as stack:
        stack.enter_context(joined(config))


def test_a_number_of_processes_that_cannot_share_a_step_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = settings(engine="deepspeed", accumulate=6)
    with pytest.raises(ConfigError, match="6 batches per step, which 4 processes cannot share"):
        launched(monkeypatch, many, 4)
    with pytest.raises(ConfigError, match=r"engine torch runs in one process, got 2; set engine=deepspeed"):
        launched(monkeypatch, settings(accumulate=2), 2)


def test_without_deepspeed_the_package_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_processes, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'miras\[scale\]'"):
        launched(monkeypatch, settings(engine="deepspeed"), 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"engine": "deepspeed", "zero": 3}, "ema 0.9 needs whole weights.*set ema=0 or zero=2"),
        ({"engine": "deepspeed", "zero": 1}, "zero must be 2 or 3, got 1"),
        ({"engine": "horovod"}, "engine must be one of torch, deepspeed"),
        ({"deepspeed": {"zero_optimization": {}}}, "deepspeed.zero_optimization needs engine: deepspeed"),
        ({"engine": "deepspeed", "deepspeed": {"bf16": {}}}, "deepspeed.bf16 follows from precision"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: Any, said: str, settings: Settings) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(**changes)


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="device cuda:99 cannot be used"):
        engine_processes._device("cuda:99", None)


def test_processes_share_what_there_is_and_each_gets_as_much() -> None:
    shares = [list(Processes(ALONE.device, rank, 3).share("abcde")) for rank in range(3)]
    assert [len(share) for share in shares] == [2, 2, 2]
    assert sorted(letter for share in shares for letter, counts in share if counts) == list("abcde")
    assert shares[2] == [("c", True), ("e", False)]
    assert list(ALONE.share("ab")) == [("a", True), ("b", True)]
    assert list(ALONE.share("")) == []
    assert ALONE.sums([1.5, 2.0]) == [1.5, 2.0]
    assert ALONE.gathered("x") == ["x"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_batches_of_all_processes_are_those_of_one(count: int, training: Prepared) -> None:
    batches = training(accumulate=6, steps=2).batches
    streams = [loader(batches, 6 + rank, count) for rank in range(count)]
    for number in range(6, 12):
        assert torch.equal(next(streams[number % count]).high, batches[number].high)
    assert all(next(stream, None) is None for stream in streams)


def test_what_is_random_in_a_batch_goes_by_its_number(training: Prepared) -> None:
    made = training(model={"lora": {"r": 2, "alpha": 4, "dropout": 0.5, "targets": ["q_proj"]}})
    for name, weight in made.model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight)
    batch = made.batches[0]
    first = made._losses(batch, 7).total.item()
    assert made._losses(batch, 8).total.item() != first
    assert made._losses(batch, 7).total.item() == first


def test_a_loss_that_is_not_finite_spoils_its_gradients() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    poisoned(weight.sum()).backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [1, 1]
    weight.grad.zero_()
    poisoned(weight.sum() + torch.tensor(torch.inf)).backward()  # whose own gradient would be finite
    assert not weight.grad.isfinite().any()


def test_what_no_batch_touched_has_a_gradient_of_zeros() -> None:
    touched, left = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    touched.grad = torch.ones(2)
    fill_gradients([touched, left])
    assert touched.grad.tolist() == [1, 1]
    assert left.grad is not None
    assert left.grad.tolist() == [0, 0, 0]


def test_a_batch_without_targets_can_use_every_module_and_change_no_loss(training: Prepared) -> None:
    made = training(sources={"dialogues": 1}, dialogues={"chat": 1}, targets=1, sequence_tokens=1, images=1)
    batch = next(made.batches[number] for number in range(6) if not len(made.batches[number].masks))
    alike = Pass(made.model, made.mode, alike=True)
    used: set[str] = set()
    for name, part in made.model.pixel.mask_decoder.named_modules():
        part.register_forward_hook(lambda *_, name=name: used.add(name))
    plain = made._losses(batch, 0)
    assert not used
    made.engine.inner.alike = True
    same = made._losses(batch, 0)
    assert used
    assert same.total.item() == plain.total.item()
    same.total.backward()
    assert all(weight.grad is not None for weight in made.engine.trained.values())
    assert isinstance(ModelOutput(**alike(batch, np.random.default_rng(0))), ModelOutput)


def test_a_checkpoint_with_torchs_own_states_is_gone_on_from(
    settings: Settings, silent: Console, tmp_path: Path
) -> None:
    whole, parted = (settings(run=str(tmp_path / name)) for name in ("whole", "parted"))
    run_training(whole, silent)
    made = prepare(parted, silent, ALONE)
    coming = loader(made.batches, 0)
    for _ in range(3):
        made._step(coming)
    made.save()
    kept = read(made.path)
    optimizer: Any = made.engine
    kept["optimizer"] = optimizer.optimizer.state_dict()
    kept["rng"] = {"cpu": torch.get_rng_state(), "cuda": []}
    for name in ("engine", "zero", "deepspeed"):
        del kept["config"][name]
    write(made.path, kept)
    run_training(parted, silent)
    first, second = (read(Path(config.run) / LAST) for config in (whole, parted))
    assert first["optimizer"]["steps"] == second["optimizer"]["steps"] == 6
    for kind in MOMENTS:
        assert all(torch.equal(first["optimizer"][kind][n], t) for n, t in second["optimizer"][kind].items())
    assert all(torch.equal(first["weights"][name], tensor) for name, tensor in second["weights"].items())


def test_moments_come_back_as_they_were(training: Prepared) -> None:
    made, again = training(parts={"pyramid": 1e-3}), training(parts={"pyramid": 1e-3})
    made._step(loader(made.batches, 0))
    before = made.engine.moments()
    again.engine.load(Moments.of(before.kept(), []))
    after = again.engine.moments()
    assert before.steps == after.steps == 1
    for kind in MOMENTS:
        assert before.states[kind].keys() == after.states[kind].keys() == set(made.engine.trained)
        assert all(torch.equal(before.states[kind][name], tensor) for name, tensor in after.states[kind].items())
