"""Linear layers that answer sooner on a processor: their weights lie as oneDNN's products read them."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["OrderedLinear", "order_weights"]

_ROWS = 16
"""Tokens of a pass that the order is chosen for: between one of each answer and a question."""
_ONEDNN: Any = torch.ops.mkldnn


class OrderedLinear(nn.Module):
    """A linear layer with a second copy of its weight in oneDNN's order.

    The copy is made at first use and used in float32 on a processor without gradients; elsewhere the layer is as ever.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self._ordered: tuple[int, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) → (..., out)."""
        if torch.is_grad_enabled() or not x.dtype == self.weight.dtype == torch.float32 or x.device.type != "cpu":
            return F.linear(x, self.weight, self.bias)
        now = self.weight._version
        if self._ordered is None or self._ordered[0] != now:
            self._ordered = now, _ONEDNN._reorder_linear_weight(self.weight.detach(), _ROWS)
        made: Tensor = _ONEDNN._linear_pointwise(x, self._ordered[1], self.bias, "none", [], "")
        return made


def order_weights(module: nn.Module) -> None:
    """Put an OrderedLinear in the place of each linear layer within, where this build of torch has oneDNN."""
    if not torch.backends.mkldnn.is_available():
        return
    for name, layer in list(module.named_modules()):
        if type(layer) is nn.Linear:
            module.set_submodule(name, OrderedLinear(layer))
