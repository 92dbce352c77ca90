"""The benchmark of decoding: our side writes as many tokens as it says, and the last line says what it found."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from miras.model.build import build, build_processor
from miras.model.configuration import preset

pytest.importorskip("numba")

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "decode.py"

PEER = """#!/bin/sh
echo ready
while read -r prompt; do echo "$prompt" | wc -w; done
"""
"""In place of a Python: says that it writes as many tokens per second as it is given."""


@pytest.fixture(scope="module")
def decode() -> ModuleType:
    spec = importlib.util.spec_from_file_location("decode", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_last_line_holds_the_ratio(
    decode: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = preset("tiny")
    build(config, build_processor(config)).save_pretrained(tmp_path / "model")
    (peer := tmp_path / "peer").write_text(PEER, encoding="utf-8")
    peer.chmod(0o755)
    monkeypatch.setattr(decode, "fetch", lambda *_: [tmp_path / "some.gguf"])
    monkeypatch.setattr(decode, "FIRST_ID", 0)
    threads = str(torch.get_num_threads())
    given = ["--context", "40", "--tokens", "8", "--rounds", "2", "--threads", threads]
    decode.main(["--model", str(tmp_path / "model"), "--llama", str(peer), *given])
    *table, last = capsys.readouterr().out.strip().splitlines()
    figures = json.loads(last)
    speeds = figures["tokens_per_second"]
    assert speeds["llama.cpp"] == 40 and figures["ratio"] == pytest.approx(speeds["int8"] / 40, abs=0.01)
    assert [line.split()[0] for line in table[1:]] == ["int8", "float32", "llama.cpp"]
