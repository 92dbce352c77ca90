"""Many processes are one run: the losses of one, states really spread, and any number goes on after a kill."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml
from rich.console import Console

from miras.config import TrainConfig
from miras.train.command import run_training
from miras.train.state import LAST, read

pytest.importorskip("deepspeed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

Settings = Callable[..., TrainConfig]

WITNESS = """
import json, sys
from pathlib import Path
import miras.train.engine_deepspeed as engine
from miras.train.command import train
from miras.train.loop import Training

folder = Path(sys.argv[1]).parent
losses, step = Training._losses, engine.DeepSpeedEngine.step

def seen(self, batch, number):
    rank = self.engine.processes.rank
    with open(folder / f"batches-{self.engine.processes.count}", "a") as file:
        file.write(f"{number}\\n")
    return losses(self, batch, number)

def spread(self, share):
    norm = step(self, share)
    rank = self.processes.rank
    held = sum(state["exp_avg"].numel() for state in self._base.state.values())
    every = sum(getattr(weight, "ds_numel", weight.numel()) for weight in self.trained.values())
    (folder / f"held-{rank}").write_text(json.dumps([held, every]))
    return norm

Training._losses, engine.DeepSpeedEngine.step = seen, spread
train(Path(sys.argv[1]), [])
"""


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Starts a run in some processes; each notes what batches it sees and how much of the states it holds."""

    def begin(config: TrainConfig, count: int, **changes: Any) -> subprocess.Popen[bytes]:
        (tmp_path / "witness.py").write_text(WITNESS, encoding="utf-8")
        file = tmp_path / "config.yaml"
        values = {name: value for name, value in vars(config).items() if name not in ("augment", "loss")}
        values |= {"betas": list(config.betas), "augment": vars(config.augment), "loss": vars(config.loss)}
        file.write_text(yaml.safe_dump(values | changes, sort_keys=False), encoding="utf-8")
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
        with (tmp_path / "said").open("ab") as said:
            return subprocess.Popen(
                [*launcher, str(tmp_path / "witness.py"), str(file)], stdout=said, stderr=said,
                env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
            )  # fmt: skip

    return begin


def rows(config: TrainConfig) -> list[dict[str, Any]]:
    lines = map(json.loads, (Path(config.run) / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return [row for row in lines if "loss" in row]


def agree(one: TrainConfig, many: TrainConfig) -> None:
    """Losses and norms of two runs are the same to 1e-5, and so is what they end with."""
    first, second = rows(one), rows(many)
    assert [row["step"] for row in first] == [row["step"] for row in second]
    for name in ("loss", "text", "bce", "dice", "targets"):
        assert [row[name] for row in second] == pytest.approx([row[name] for row in first], abs=1e-5), name
    ends = [read(Path(config.run) / LAST) for config in (one, many)]
    assert ends[0]["weights"].keys() == ends[1]["weights"].keys()
    assert ends[0]["ema"].keys() == ends[1]["ema"].keys()
    for name, weight in ends[0]["weights"].items():
        assert torch.allclose(weight, ends[1]["weights"][name], atol=1e-4), name
    assert (Path(many.run) / "model" / "config.json").is_file()


MORE: dict[str, Any] = {
    "accumulate": 6, "images": 1, "sources": {"photos": 1, "dialogues": 2},
    "model": {"lora": {"r": 2, "alpha": 4, "dropout": 0.1, "targets": ["q_proj"]}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("zero", "more"), [(2, {"steps": 20, "val_targets": 6}), (3, {"steps": 6, "ema": 0.0})], ids=["zero2", "zero3"]
)
def test_two_processes_are_one_run(
    zero: int, more: dict[str, Any], settings: Settings, silent: Console, start: Any, tmp_path: Path
) -> None:
    one = settings(**MORE, **more, run=str(tmp_path / "one"))
    two = settings(**MORE, **more, run=str(tmp_path / "two"), engine="deepspeed", zero=zero)
    every = {"zero_optimization": {"stage3_param_persistence_threshold": 0}}
    running = start(two, 2, deepspeed=every if zero == 3 else {})
    run_training(one, silent)
    assert running.wait() == 0, (tmp_path / "said").read_text()
    agree(one, two)
    for rank in range(2):
        held, whole = json.loads((tmp_path / f"held-{rank}").read_text())
        assert 0.45 < held / whole < 0.6
    lines = [(Path(run.run) / "log.jsonl").read_text(encoding="utf-8").splitlines() for run in (one, two)]
    figures = [[json.loads(line)["validation"] for line in each if "validation" in line] for each in lines]
    assert [len(each) for each in figures] == [1 if "val_targets" in more else 0] * 2
    for first, second in zip(*figures, strict=True):
        assert first["n"] == second["n"]
        assert second["giou"] == pytest.approx(first["giou"], abs=1e-3)
    said = (tmp_path / "said").read_text()
    assert "DeepSpeed" not in said
    assert said.count("finished; model in") == 1


def kill(running: subprocess.Popen[bytes]) -> None:
    """SIGKILL for the launcher and for all that it started."""
    family = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
    for process in family:
        process.kill()
    running.wait()
    psutil.wait_procs(family[1:], timeout=20)


def test_killed_at_any_time_it_goes_on_with_another_number_of_processes(
    settings: Settings, silent: Console, start: Any, tmp_path: Path
) -> None:
    one = settings(**MORE, steps=9, run=str(tmp_path / "one"))
    many = settings(**MORE, steps=9, run=str(tmp_path / "many"), engine="deepspeed", checkpoint_minutes=0.0)
    run_training(one, silent)
    last, done, chance = tmp_path / "many" / LAST, 0, random.Random(7)
    for count in (2, 1):
        running = start(many, count)
        while not (last.is_file() and read(last)["step"] >= done + 1):
            assert running.poll() is None, (tmp_path / "said").read_text()
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 1))
        kill(running)
        before, done = done, read(last)["step"]
        numbers = [int(line) for line in (tmp_path / f"batches-{count}").read_text().split()]
        assert len(set(numbers)) == len(numbers)
        assert set(range(before * 6, done * 6)) <= set(numbers)
        assert min(numbers) == before * 6
    assert start(many, 3).wait() == 0, (tmp_path / "said").read_text()
    numbers = [int(line) for line in (tmp_path / "batches-3").read_text().split()]
    assert sorted(numbers) == list(range(done * 6, 9 * 6))
    agree(one, many)


def test_a_checkpoint_of_one_engine_is_gone_on_from_by_the_other(
    settings: Settings, silent: Console, start: Any, tmp_path: Path
) -> None:
    whole = settings(**MORE, steps=6, ema=0.0, run=str(tmp_path / "whole"))
    run_training(whole, silent)
    run = str(tmp_path / "passed")
    run_training(settings(**MORE, steps=6, ema=0.0, run=run, minutes=0.0), silent)
    three = settings(**MORE, steps=6, ema=0.0, run=run, minutes=0.0, engine="deepspeed", zero=3)
    assert start(three, 3).wait() == 0, (tmp_path / "said").read_text()
    assert [row["step"] for row in rows(three)] == [1, 2]
    run_training(settings(**MORE, steps=6, ema=0.0, run=run), silent)
    agree(whole, three)


def test_an_interrupt_of_one_process_stops_all_after_the_same_step(
    settings: Settings, start: Any, tmp_path: Path
) -> None:
    many = settings(**MORE, steps=2000, run=str(tmp_path / "many"), engine="deepspeed")
    running = start(many, 2)
    while not (tmp_path / "held-1").is_file():
        assert running.poll() is None, (tmp_path / "said").read_text()
        time.sleep(0.05)
    workers = [child for child in psutil.Process(running.pid).children() if "witness.py" in " ".join(child.cmdline())]
    workers[-1].send_signal(signal.SIGTERM)
    running.wait()
    said = (tmp_path / "said").read_text()
    assert said.count("stopped; the same command goes on") == 1
    assert "exitcode  : 130" in said
    step = read(Path(many.run) / LAST)["step"]
    numbers = [int(line) for line in (tmp_path / "batches-2").read_text().split()]
    assert sorted(numbers) == list(range(step * 6))


def test_text_that_is_cached_is_trained_in_many_processes(
    settings: Settings, silent: Console, start: Any, tmp_path: Path
) -> None:
    one, two = (settings(text="cached", accumulate=2, steps=4, run=str(tmp_path / name)) for name in ("one", "two"))
    running = start(two, 2, engine="deepspeed")
    run_training(one, silent)
    assert running.wait() == 0, (tmp_path / "said").read_text()
    agree(one, two)
