"""What a user gets: the wheel in a fresh environment, and the real pretrained parts that it fetches."""

import json
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from miras.model.pretrained import smollm2

ROOT = Path(__file__).resolve().parents[1]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert not done.returncode, f"{command} ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-4000:]}"
    return done.stdout


def pip(python: Path | str, *arguments: str | Path, cwd: Path) -> None:
    run(python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments, cwd=cwd)


@pytest.mark.slow
def test_the_wheel_talks_and_marks_in_a_fresh_environment(tmp_path: Path) -> None:
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT, cwd=tmp_path)
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env/bin/python"
    # the very torch of this environment, from where it came: a local CPU wheel or the index of CPU builds
    torch_here = f"torch=={version('torch')}"
    try:
        pip(python, "install", torch_here, cwd=tmp_path)
    except AssertionError:
        pip(python, "install", "--index-url", CPU_INDEX, torch_here, cwd=tmp_path)
    pip(python, "install", next(tmp_path.glob("miras-*.whl")), cwd=tmp_path)
    run(tmp_path / "env/bin/miras", "demo", cwd=tmp_path)
    out = tmp_path / "demo_out"
    masks = sorted(out.glob("*_mask.png"))
    assert (out / "index.html").is_file() and masks
    assert all(0.001 < np.asarray(Image.open(path), bool).mean() < 0.9 for path in masks)
    listed = run(python, "-m", "pip", "list", "--disable-pip-version-check", "--format", "json", cwd=tmp_path)
    installed = {row["name"].lower() for row in json.loads(listed)}
    assert "miras" in installed and not {"torchvision", "triton"} & installed


@pytest.mark.slow
def test_the_language_model_is_fetched_knows_a_fact_and_ties_its_embeddings() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = smollm2()
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    given = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**given, max_new_tokens=12, do_sample=False)[0, given["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)
