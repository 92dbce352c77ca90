"""The language model's LoRA as a folder of PEFT's: its names, its settings, and the way back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

__all__ = ["FILE", "from_peft", "is_lora", "write_adapter"]

FILE = "adapter_model.safetensors"
"""PEFT's name for the weights of an adapter."""

_OURS, _THEIRS = "language.lm.", "base_model.model."


def is_lora(name: str) -> bool:
    """Whether a weight of the model belongs to the adapter."""
    return name.startswith(_OURS) and (".lora_A." in name or ".lora_B." in name)


def write_adapter(folder: Path, state: Mapping[str, Tensor], lora: Mapping[str, Any], base: str | None) -> None:
    """Write what `peft.PeftModel.from_pretrained` reads: the LoRA weights of a state dict, and their settings.

    `base` names the language model that the adapter goes onto, where that is known.
    """
    from peft import LoraConfig, TaskType

    settings = LoraConfig(
        r=lora["r"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=list(lora["targets"]),
        task_type=TaskType.CAUSAL_LM,
        base_model_name_or_path=base,
        inference_mode=True,
    )
    settings.save_pretrained(str(folder))
    theirs = {_to_peft(name): tensor for name, tensor in state.items() if is_lora(name)}
    save_file(theirs, folder / FILE, {"format": "pt"})


def from_peft(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An adapter's weights under the model's own names."""
    return {_from_peft(name): tensor for name, tensor in state.items()}


def _to_peft(name: str) -> str:
    return name.replace(_OURS, _THEIRS, 1).replace(".default.", ".")


def _from_peft(name: str) -> str:
    layer, matrix, rest = name.replace(_THEIRS, _OURS, 1).rpartition(".lora_")  # A.weight or B.weight
    return f"{layer}{matrix}{rest.replace('.', '.default.', 1)}"
