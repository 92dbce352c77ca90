"""DeepSpeed goes on from our universal checkpoint, and we from what it makes of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from miras.config import TrainConfig
from miras.errors import CheckpointError
from miras.train.command import run_training
from miras.train.stages import start_model
from miras.train.state import LAST, MOMENTS, read
from miras.train.universal import UNIVERSAL, read_universal, shaped

Settings = Callable[..., TrainConfig]

DEEPSPEED = """
import json, sys
from pathlib import Path
import torch
from rich.console import Console
from miras.config import plain
from miras.train.command import prepare
from miras.train.engine_processes import joined

config, universal, ours, out = json.loads(sys.argv[1]), *sys.argv[2:]
config = plain(config)
with joined(config) as processes:
    engine = prepare(config, Console(quiet=True), processes).engine
    assert engine._engine.load_checkpoint(universal)[0]
    weights, moments = engine.weights(), engine.moments()
    if processes.first:
        torch.save({"weights": weights, "optimizer": moments.kept()}, ours)
    note = {"universal_checkpoint_info": {"universal_checkpoint_version": 0.4}}
    engine._engine.save_checkpoint(out, tag="made", client_state=note, exclude_frozen_parameters=True)
"""


def same(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Trained weights and the optimizer's states of two checkpoints are equal."""
    assert first["optimizer"]["steps"] == second["optimizer"]["steps"]
    for kind in MOMENTS:
        assert first["optimizer"][kind].keys() == second["optimizer"][kind].keys()
        for name, tensor in first["optimizer"][kind].items():
            assert torch.equal(tensor, second["optimizer"][kind][name]), name
            assert torch.equal(first["weights"][name], second["weights"][name]), name


def test_a_run_goes_on_from_a_universal_checkpoint(settings: Settings, silent: Console, tmp_path: Path) -> None:
    whole, parted = (settings(run=str(tmp_path / name), universal=True) for name in ("whole", "parted"))
    run_training(whole, silent)
    run_training(settings(run=parted.run, universal=True, minutes=0.0), silent)
    kept = read(Path(parted.run) / LAST)
    found = read_universal(Path(parted.run) / UNIVERSAL)
    same(kept, found)
    assert found["step"] == 1
    assert found["config"] == json.loads(json.dumps(kept["config"])) | {"betas": kept["config"]["betas"]}
    assert all(torch.equal(kept["ema"][name], tensor) for name, tensor in found["ema"].items())
    (Path(parted.run) / LAST).unlink()
    run_training(parted, silent)
    same(read(Path(whole.run) / LAST), read(Path(parted.run) / LAST))


def test_what_is_no_universal_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no universal checkpoint: zero/NAME/exp_avg\.pt is not there"):
        read_universal(tmp_path)
    place = tmp_path / "zero" / "w"
    place.mkdir(parents=True)
    (place / "exp_avg.pt").touch()
    (place / "step.pt").write_bytes(b"no")
    with pytest.raises(CheckpointError, match=r"step\.pt cannot be read"):
        read_universal(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("zero", [2, 3])
def test_deepspeed_goes_on_from_ours_and_we_from_its(
    zero: int, settings: Settings, silent: Console, tmp_path: Path
) -> None:
    pytest.importorskip("deepspeed")
    run_training(settings(steps=3, ema=0.0, universal=True), silent)
    run = Path(settings().run)
    many = settings(steps=3, ema=0.0, engine="deepspeed", accumulate=2, zero=zero)
    theirs = asdict(many) | {"deepspeed": {"checkpoint": {"load_universal": True}}}
    (tmp_path / "theirs.py").write_text(DEEPSPEED, encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    places = [run / UNIVERSAL, tmp_path / "read.pt", tmp_path / "saved"]
    subprocess.run(
        [*launcher, str(tmp_path / "theirs.py"), json.dumps(theirs), *map(str, places)],
        check=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    kept = read(run / LAST)
    same(kept, read(tmp_path / "read.pt"))
    converter = [sys.executable, "-m", "deepspeed.checkpoint.ds_to_universal", "--num_extract_workers", "1"]
    converter += ["--num_merge_workers", "1"]
    made = tmp_path / "converted"
    subprocess.run(
        [*converter, "--input_folder", str(tmp_path / "saved" / "made"), "--output_folder", str(made)], check=True
    )
    found = read_universal(made)
    same(kept, shaped(found, start_model(settings())))
    (run / LAST).unlink()
    shutil.rmtree(run / UNIVERSAL)
    shutil.copytree(made, run / UNIVERSAL)
    run_training(settings(steps=5), silent)
    assert read(run / LAST)["optimizer"]["steps"] == 5
