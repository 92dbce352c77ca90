"""Checkpoints, the running mean of weights, and logs that never count a step twice."""

import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

from miras.errors import CheckpointError
from miras.train.logs import RunLog, mean_of
from miras.train.state import Ema, kept_weights, lay_over, read, write


def test_the_mean_follows_and_steps_aside() -> None:
    weight = torch.zeros(2)
    ema = Ema({"w": weight}, 0.9)
    weight += 1
    ema.update(1_000)
    assert ema.mean["w"].tolist() == pytest.approx([0.1, 0.1])
    with ema.applied():
        assert weight.tolist() == pytest.approx([0.1, 0.1])
    assert weight.tolist() == [1, 1]
    weight += 1
    ema.update(1)  # early on it forgets faster: it keeps 1 / 21
    assert ema.mean["w"].tolist() == pytest.approx([2 - 1.9 / 21] * 2)


def test_without_decay_there_is_no_mean() -> None:
    ema = Ema({"w": torch.ones(1)}, 0.0)
    ema.update(5)
    with ema.applied():
        assert ema.live["w"].tolist() == [1]
    assert ema.mean == {}


def test_trained_weights_and_buffers_are_kept() -> None:
    first = nn.Linear(2, 2)
    model = nn.Sequential(first, nn.BatchNorm1d(2), nn.Linear(2, 2, device="meta"))
    model[1].requires_grad_(False)
    assert set(kept_weights(model)) == {
        "0.weight",
        "0.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
    }
    lay_over(model, {"0.bias": torch.tensor([3.0, 4.0])})
    assert first.bias.tolist() == [3, 4]
    with pytest.raises(CheckpointError, match=r"0\.weight of the run is \(3, 2\), the model has \(2, 2\)"):
        lay_over(model, {"0.weight": torch.zeros(3, 2)})
    with pytest.raises(CheckpointError, match="no such weight"):
        lay_over(model, {"9.weight": torch.zeros(1)})


def test_a_checkpoint_is_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "run" / "last.pt"
    write(path, {"step": 3})
    assert read(path) == {"step": 3}
    assert [file.name for file in path.parent.iterdir()] == ["last.pt"]
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        read(path)


def test_lines_after_the_step_of_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st', encoding="utf-8")
    said = io.StringIO()
    with RunLog(tmp_path, Console(file=said, width=120), steps=4, done=2) as log:
        log.row(3, {"loss": 0.5, "lr": {"lora": 1.0}})
        log.validation(4, {"giou": 0.25, "ciou": 0.5, "by_size": {"fine": {"giou": 0.125}, "medium": {"giou": None}}})
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert "3/4 loss 0.5 left 0 min" in said.getvalue()
    assert "step 4: gIoU 0.2500 cIoU 0.5000 (fine 0.125)" in said.getvalue()
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_terminal_sees_a_bar(tmp_path: Path) -> None:
    said = io.StringIO()
    with RunLog(tmp_path, Console(file=said, force_terminal=True, width=120), steps=4, done=0) as log:
        log.row(2, {"loss": 0.5})
        log.step(2)
    assert "2/4" in said.getvalue()
    assert "loss 0.5" in said.getvalue()


def test_the_mean_of_rows() -> None:
    assert mean_of([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 2.0, "b": 2.0}
    assert mean_of([]) == {}
