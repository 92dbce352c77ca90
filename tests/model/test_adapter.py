"""The LoRA as PEFT's folder: PEFT reads it onto the bare language model, and so do we."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from miras import Miras
from miras.model.adapter import FILE, from_peft, is_lora
from miras.model.build import build_lm
from miras.model.checkpoint import load, save


@pytest.fixture
def folder(tiny: Miras, tmp_path: Path) -> Path:
    save(tiny, tmp_path / "out", frozen=False, peft=True)
    return tmp_path / "out"


def test_peft_puts_it_onto_the_bare_language_model(tiny: Miras, folder: Path) -> None:
    base = build_lm(tiny.config)
    base.load_state_dict(
        {
            name.removeprefix("language.lm.").replace(".base_layer.", "."): weight
            for name, weight in tiny.state_dict().items()
            if name.startswith("language.lm.") and not is_lora(name)
        }
    )
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        bare = base(ids).logits
        adapted = PeftModel.from_pretrained(base, str(folder)).eval()(ids).logits
        ours = tiny.language.lm(ids).logits
    assert torch.equal(adapted, ours)
    assert not torch.allclose(bare, ours, atol=1e-3)


def test_our_loader_reads_it_as_part_of_the_model(tiny: Miras, folder: Path) -> None:
    again = load(folder).state_dict()
    assert again.keys() == tiny.state_dict().keys()
    assert all(torch.equal(weight, again[name]) for name, weight in tiny.state_dict().items())


def test_names_come_back_and_the_lora_lies_in_one_file(tiny: Miras, folder: Path) -> None:
    ours = {name for name in tiny.state_dict() if is_lora(name)}
    assert set(from_peft(load_file(folder / FILE))) == ours
    assert len(ours) == 2 * 2 * len(tiny.config.lora["targets"])  # A and B of two layers
    others = [name for path in folder.glob("model-*.safetensors") for name in load_file(path)]
    assert not ours & set(others)
