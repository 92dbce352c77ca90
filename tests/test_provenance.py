"""What makes a figure traceable."""

import torch

from miras.provenance import versions, weights_hash


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
