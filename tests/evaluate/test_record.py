"""What makes a figure traceable."""

import json
from pathlib import Path

import pytest
import torch

from miras.evaluate.record import versions, weights_hash, write_json


def test_hash_sees_every_weight_its_name_and_its_type() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 2)
    before = weights_hash(model)
    assert before == weights_hash(model)
    with torch.no_grad():
        model.bias[1] += 1e-3
    changed = weights_hash(model)
    assert len({before, changed, weights_hash(model.to(torch.bfloat16))}) == 3
    assert weights_hash(torch.nn.Sequential(model)) != weights_hash(model)
    assert weights_hash(object()) is None


def test_versions_name_python_and_torch() -> None:
    assert versions()["torch"] == torch.__version__
    assert set(versions()) >= {"python", "miras", "numpy", "transformers"}


def test_a_figure_that_is_no_number_is_never_half_written(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    write_json(out, {"giou": 0.5})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(out, {"giou": float("nan")})
    assert json.loads(out.read_text(encoding="utf-8")) == {"giou": 0.5}
