"""The frozen matrices of a language model in 4 bits: NF4 through bitsandbytes (Dettmers et al. 2023).

Embeddings and the output layer stay as they are, and so does LoRA, which lies beside the matrices. A matrix is
quantised as soon as it has values, so that the whole never stands in memory in more bits.
"""

import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from miras.errors import ConfigError

__all__ = ["drop_quantized", "hush", "is_quantized", "quantize", "quantized_weights", "settle"]

_NOISE = "Failed to load CPU gemm_4bit_forward"


def quantize(lm: Any, *, later: bool = False) -> None:
    """Turn the matrices of a language model's layers into 4 bits, one at a time.

    With `later` they are left without values and wait for `settle`. Raises ConfigError without bitsandbytes.
    """
    library = _bitsandbytes()
    layer, kept = library.nn.Linear4bit, library.functional.name2qmap
    if "dynamic" not in kept:  # bitsandbytes keeps its first one: a model of shapes alone would leave it without values
        kept["dynamic"] = library.functional.create_dynamic_map()
    decoder = lm.get_decoder()
    for name, old in list(_matrices(decoder)):
        rows, columns = old.out_features, old.in_features
        with torch.device("meta"):
            new = layer(columns, rows, bias=old.bias is not None, quant_type="nf4")
        new.support_avx512bf16_for_cpu = False  # that path repacks weights for answers and then gives no gradient
        new.bias = old.bias
        new.train(old.training)
        decoder.set_submodule(name, new)
        if not later:
            settle(new, old.weight.detach())


def settle(module: nn.Module, weight: Tensor) -> bool:
    """Give a 4-bit layer its matrix (out, in), which is quantised here. False for any other module."""
    if not is_quantized(module):
        return False
    layer: Any = module
    if weight.shape != (expected := (layer.out_features, layer.in_features)):
        raise ConfigError(f"a 4-bit layer is {expected}, got a matrix of {tuple(weight.shape)}; is it another model's?")
    settings = {"requires_grad": False, "quant_type": "nf4", "module": layer}
    made = type(layer.weight)(weight.contiguous(), **settings)
    layer.weight = made._quantize(weight.device)
    return True


def is_quantized(module: nn.Module) -> bool:
    """Whether this layer, or any layer within, is kept in 4 bits."""
    return any(type(each).__name__ == "Linear4bit" for each in module.modules())


def drop_quantized(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without what 4-bit layers would write: their numbers are no weights of the model."""
    layers = quantized_weights(model)
    dropped = tuple(f"{layer}." for layer in layers)
    return {name: tensor for name, tensor in state.items() if name not in layers and not name.startswith(dropped)}


def quantized_weights(model: nn.Module) -> dict[str, nn.Module]:
    """Names of the matrices that are kept in 4 bits, and their layers."""
    return {f"{name}.weight": module for name, module in model.named_modules() if type(module).__name__ == "Linear4bit"}


def hush() -> None:
    """Keep bitsandbytes from telling, wherever it is installed, that a kernel of its own is not at hand."""
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    if not logger.filters:
        logger.addFilter(lambda record: not str(record.msg).startswith(_NOISE))


def _matrices(decoder: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """The frozen linear layers of a decoder with their names; LoRA's own are trained or about to be."""
    for name, module in decoder.named_modules():
        if isinstance(module, nn.Linear) and ".lora_" not in name and type(module).__name__ != "Linear4bit":
            yield name, module


def _bitsandbytes() -> Any:
    hush()
    try:
        import bitsandbytes
    except ImportError as error:
        raise ConfigError("quantize: nf4 needs bitsandbytes; pip install 'miras[quantize]', or leave it out") from error
    return bitsandbytes
