"""Training beside a language model in 4 bits: what is named moves, and the export holds what was trained."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from miras import Miras
from miras.config import TrainConfig
from miras.errors import ConfigError
from miras.train.command import export
from miras.train.loop import Training

pytest.importorskip("bitsandbytes")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_only_lora_moves(precision: str, training: Callable[..., Training]) -> None:
    made = training(quantize="nf4", parts={"lora": 1e-2}, precision=precision)
    before = {name: tensor.clone() for name, tensor in made.model.named_parameters()}
    made._step(iter([made.batches[0]]))
    made._step(iter([made.batches[1]]))
    moved = {name for name, tensor in made.model.named_parameters() if not torch.equal(tensor, before[name])}
    assert moved == {name for name in before if ".lora_" in name}
    four = {name for name, tensor in made.model.named_parameters() if tensor.dtype == torch.uint8}
    assert len(four) == 2 * 7


def test_the_export_is_the_whole_base_with_what_was_trained(training: Callable[..., Training], tmp_path: Path) -> None:
    made = training(quantize="nf4", parts={"lora": 1e-2, "new_tokens": 1e-2}, gradient_checkpointing=True, ema=0.0)
    made._step(iter([made.batches[0]]))
    export(made.config, made.engine.weights() | made.ema.mean, tmp_path / "model")
    loaded = Miras.from_pretrained(tmp_path / "model").state_dict()
    assert not [name for name in loaded if "quant" in name]
    assert torch.equal(loaded["language.rows"], made.model.language.rows.detach().to(torch.bfloat16).float())
    assert loaded["language.lm.model.layers.0.mlp.up_proj.weight"].shape == (128, 64)


def test_what_zero_3_cannot_spread_is_refused(settings: Callable[..., TrainConfig]) -> None:
    with pytest.raises(ConfigError, match="zero: 3 cannot spread"):
        settings(quantize="nf4", engine="deepspeed", zero=3, ema=0.0)
