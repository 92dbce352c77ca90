"""What the environment holds: nothing that pulls in CUDA or torchvision."""

import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
UNWANTED = {"torchvision", "timm", "open-clip-torch", "lmms-eval", "vllm", "sglang"}
"""torchvision and what depends on it, or on a torch of its own."""


def _installed() -> set[str]:
    return {str(each.metadata["Name"]).lower().replace("_", "-") for each in distributions()}


def test_no_torchvision() -> None:
    assert not (found := UNWANTED & _installed()), f"remove {sorted(found)}, or make a fresh .venv by `make setup`"


def test_no_cuda_packages() -> None:
    if torch.version.cuda is not None:
        pytest.skip("this torch is a CUDA build, chosen by whoever installed it, and needs its libraries")
    found = sorted(name for name in _installed() if name.startswith(("nvidia-", "cuda-")) or name == "triton")
    assert not found, f"a CPU build of torch needs none of {found}; something else has pulled them in"


def test_pyproject_asks_for_none_of_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    assert not [line for line in asked if line.lower().startswith(tuple(UNWANTED))]
    assert "torch>=2.13,<2.14" in asked
