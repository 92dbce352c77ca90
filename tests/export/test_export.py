"""Exports are read back with equal answers, and the card says what the run knows and nothing else."""

import io
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console
from typer.testing import CliRunner

from miras import Miras
from miras.cli import app
from miras.config import plain
from miras.errors import CheckpointError, ConfigError
from miras.export.command import Form
from miras.export.folder import CARD, write_export
from miras.export.run import read_run
from miras.model.checkpoint import load
from miras.train.command import run_training

PARTS = {"lora": 1e-2, "new_tokens": 1e-3, "mask_projector": 1e-3, "alignment": 2e-3}


@pytest.fixture(scope="module")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "look"
    settings: dict[str, Any] = {
        "run": str(folder), "preset": "tiny", "data": str(shapes), "image_size": 64, "images": 2, "accumulate": 3,
        "targets": 2, "steps": 4, "warmup": 1, "workers": 0, "val_targets": 3, "log_every": 2, "parts": PARTS,
        "sequence_tokens": 1000,
    }  # fmt: skip
    run_training(plain(settings), Console(file=io.StringIO()))
    return folder


def answers(folder: Path) -> torch.Tensor:
    model = load(folder).float()
    with torch.no_grad():
        return torch.as_tensor(model.language.lm(torch.arange(3, 40)[None]).logits)


def test_whole_and_merged_answer_as_the_run_does(run: Path, tmp_path: Path) -> None:
    write_export(str(run), tmp_path / "whole", Form.WHOLE, None)
    write_export(str(run), tmp_path / "merged", Form.MERGED, None)
    told = answers(run / "model")
    assert torch.equal(answers(tmp_path / "whole"), told)
    merged = load(tmp_path / "merged")
    assert not merged.config.lora
    assert not [name for name, _ in merged.named_parameters() if "lora" in name]
    assert next(merged.parameters()).dtype == torch.float32  # kept in bf16, read in torch's own default
    torch.testing.assert_close(answers(tmp_path / "merged"), told, atol=0.02, rtol=0.02)  # a sum rounded to bf16
    unmerged = load(run / "model").float()
    for layer in unmerged.modules():
        if hasattr(layer, "lora_B"):
            layer.lora_B["default"].weight.data.zero_()
    with torch.no_grad():
        bare = unmerged.language.lm(torch.arange(3, 40)[None]).logits
    assert (answers(tmp_path / "merged") - told).abs().max() < (bare - told).abs().max() / 3  # the LoRA is in it


def test_card_tells_the_run(run: Path, tmp_path: Path) -> None:
    write_export(str(run / "model"), tmp_path / "reader", Form.WHOLE, "CC-BY-4.0")
    text = (tmp_path / "reader" / CARD).read_text(encoding="utf-8")
    front = yaml.safe_load(text.split("---")[1])
    assert front["license"] == "cc-by-4.0"
    assert front["library_name"] == "miras"
    told = read_run(run)
    assert told.steps == 4
    assert told.seconds is not None
    assert told.validation is not None
    assert "| steps | 4 of 4 |" in text
    assert "| images per step | 6 |" in text
    assert f"| giou | {told.validation['giou']:.4f} |" in text
    model = load(run / "model")
    language = sum(weight.numel() for name, weight in model.named_parameters() if name.startswith("language."))
    trained = [name for name, _ in model.named_parameters() if "lora_" in name or name == "language.rows"]
    moved = sum(model.get_parameter(name).numel() for name in trained)
    assert model.vision.fusion is not None
    assert f"| language model | {language:,} | {moved:,} |" in text
    assert f"| fusion (eq. 4) | {sum(w.numel() for w in model.vision.fusion.parameters()):,} | 0 |" in text


def test_a_model_without_its_run_claims_nothing(run: Path, tmp_path: Path, tiny_folder: Path) -> None:
    write_export(str(tiny_folder), tmp_path / "out", Form.WHOLE, None)
    text = (tmp_path / "out" / CARD).read_text(encoding="utf-8")
    assert "How it was trained is not known" in text
    assert "Its figures are not known" in text
    assert "The licence of the weights is not known" in text


@pytest.fixture
def tiny_folder(run: Path, tmp_path: Path) -> Path:
    load(run / "model").save_pretrained(tmp_path / "alone")
    return tmp_path / "alone"


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (lambda run, out: (str(run / "model"), run / "model", Form.WHOLE), ConfigError, "model's own folder"),
        (lambda run, out: (str(run), out, Form.ADAPTER), CheckpointError, "names no sources"),
        (lambda run, out: ("nowhere", out, Form.MERGED), CheckpointError, "no config.json in nowhere"),
    ],
)
def test_refusals_leave_nothing(run: Path, tmp_path: Path, asked: Any, error: Any, words: str) -> None:
    source, out, form = asked(run, tmp_path / "out")
    before = sorted(out.iterdir()) if out.exists() else None
    with pytest.raises(error, match=words):
        write_export(source, out, form, None)
    assert (sorted(out.iterdir()) if out.exists() else None) == before


def test_unfinished_run_and_merged_adapter_are_told(run: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("steps: 3\n")
    with pytest.raises(CheckpointError, match="let it end"):
        write_export(str(tmp_path), tmp_path / "out", Form.WHOLE, None)
    write_export(str(run), tmp_path / "merged", Form.MERGED, None)
    with pytest.raises(ConfigError, match="has no LoRA"):
        write_export(str(tmp_path / "merged"), tmp_path / "out", Form.ADAPTER, None)


def test_command(run: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", str(run), "--out", str(tmp_path / "out"), "--form", "whole"])
    assert done.exit_code == 0, done.output
    assert "Miras.from_pretrained" in done.output
    assert Miras.from_pretrained(tmp_path / "out").config.lora
