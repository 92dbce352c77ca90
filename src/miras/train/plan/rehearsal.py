"""A training step on shapes alone: what lives when, and what is computed, without weights or numbers.

Weights and activations are on torch's meta device, which has shapes and no values. Ids, positions and masks of tokens
are small and real, on the CPU, so that whatever depends on them (which states are trained on, how long a span is)
comes out as in a true step; where the two meet, the real ones give up their values.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from miras.train.plan.heap import Heap

__all__ = ["Rehearsed", "rehearse", "shapes_alone"]

_META = torch.device("meta")
_FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


@dataclass(frozen=True)
class Rehearsed:
    """What one forward and backward pass of one batch needs, beyond weights."""

    kept: int
    """Bytes alive when the loss is known: what the backward pass will read."""
    peak: int
    """Most bytes alive at once, gradients of weights included."""
    gradients: int
    """Bytes of the gradients of weights."""
    forward: int
    """FLOPs of the forward pass; a product and its sum are two."""
    backward: int
    """FLOPs of the backward pass, what is computed again included."""


def rehearse(
    model: nn.Module, loss: Callable[[], Tensor], *, autocast: bool, accumulated: bool, heap: Heap | None = None
) -> Rehearsed:
    """One step of a model on the meta device; `loss` runs it forward.

    `autocast` computes as bf16 autocast does on a GPU; `accumulated` has gradients of an earlier batch lie there. What
    comes and goes is taken from `heap` and given back to it.
    """
    living = _Living([*model.parameters(), *model.buffers()], heap)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    with living, _Casts(autocast):
        for weight in trained:
            weight.grad = torch.empty_like(weight) if accumulated else None
        total = loss()
        kept = living.now - (sum(map(_bytes, trained)) if accumulated else 0)
        forward = living.flops
        _backward(total)
    gradients = sum(_bytes(weight.grad) for weight in trained if weight.grad is not None)
    for weight in trained:
        weight.grad = None
    return Rehearsed(kept, living.most, gradients, forward, living.flops - forward)


@contextmanager
def shapes_alone(autocast: bool) -> Iterator[None]:
    """Within, tensors with values and without may meet, and `autocast` is that of a GPU in bf16."""
    with _Living([]), _Casts(autocast):
        yield


def _backward(total: Tensor) -> None:
    """The backward pass; torch's public ways to it leave function modes, which computing states again needs."""
    ones = (torch.ones_like(total),)
    torch.autograd.graph._engine_run_backward(
        (total,), ones, False, False, (), allow_unreachable=True, accumulate_grad=True
    )


class _Living(TorchDispatchMode):
    """Lets tensors with and without values meet, and adds up the bytes of those without as they come and go."""

    def __init__(self, weights: list[Tensor], heap: Heap | None = None) -> None:
        super().__init__()
        self._heap = heap
        self.now = self.most = self.flops = 0
        self._known: dict[int, Any] = {weight.untyped_storage()._cdata: None for weight in weights}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        found = [x for x in _flat((args, kwargs)) if isinstance(x, Tensor)]
        if not any(x.device == _META for x in found):
            if func is torch.ops.aten._to_copy.default and kwargs.get("device") == _META:
                kwargs = {**kwargs, "device": found[0].device}  # what has values keeps them
            made = func(*args, **kwargs)
        else:
            if func in _INDEXED:
                args = (args[0], _places(args[1]), *args[2:])
            args, kwargs = tree_map_only(Tensor, _valueless, (args, kwargs))
            made = func(*args, **kwargs)
            if (formula := _FLOPS.get(func.overloadpacket)) is not None:
                self.flops += formula(*args, **kwargs, out_val=made)
            elif str(func.overloadpacket) == _FOUR_BIT:
                self.flops += 2 * args[0].numel() * args[2][0]  # x, packed weights, their shape (out, in)
        for tensor in _flat(made):
            if isinstance(tensor, Tensor) and tensor.device == _META:
                self._note(tensor.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes()
        place = self._heap.take(size) if self._heap else 0

        def gone(_: Any) -> None:
            self.now -= size
            del self._known[key]
            if self._heap:
                self._heap.give(place)

        self._known[key] = weakref.ref(storage, gone)
        self.now += size
        self.most = max(self.most, self.now)


class _Casts(TorchFunctionMode):
    """Attention as one fused kernel, and products in bf16 where a GPU's autocast would have them so."""

    def __init__(self, autocast: bool) -> None:
        super().__init__()
        self.autocast = autocast

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.autocast and func in _IN_BF16:
            args, kwargs = _cast(args, torch.float32, torch.bfloat16), _cast(kwargs, torch.float32, torch.bfloat16)
        elif self.autocast and func in _IN_FP32:
            args, kwargs = _cast(args, torch.bfloat16, torch.float32), _cast(kwargs, torch.bfloat16, torch.float32)
        if func is F.scaled_dot_product_attention and args[0].dim() == 4:  # with other shapes no kernel is fused
            return _attention(*args, **kwargs)
        return func(*args, **kwargs)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention by the one fused kernel that knows shapes without values."""
    if enable_gqa:
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.empty(attn_mask.shape, dtype=query.dtype, device=_META)  # as it is before the kernel
    return _FUSED(query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale)[0]


def _flat(tree: Any) -> Iterator[Any]:
    if isinstance(tree, list | tuple):
        for item in tree:
            yield from _flat(item)
    elif isinstance(tree, dict):
        yield from _flat(tree.values())
    else:
        yield tree


def _valueless(tensor: Tensor) -> Tensor:
    return tensor if tensor.device == _META else torch.empty_like(tensor, device=_META)


def _places(indices: Any) -> list[Tensor | None]:
    """Masks that choose become the places they choose; one whose values are not known chooses everything."""
    places: list[Tensor | None] = []
    for index in indices:
        if index is None or index.dtype not in (torch.bool, torch.uint8):
            places.append(index)
        elif index.device == _META:
            places += [index.new_empty(index.numel(), dtype=torch.long) for _ in index.shape]
        else:
            places += index.nonzero(as_tuple=True)
    return places


def _cast(tree: Any, old: torch.dtype, new: torch.dtype) -> Any:
    return tree_map_only(Tensor, lambda x: x.to(new) if x.dtype == old and x.device == _META else x, tree)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _fused_flops(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query.shape, key.shape, value.shape))


def _fused_backward_flops(grad: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(grad.shape, query.shape, key.shape, value.shape))


_FLOPS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    _FUSED: _fused_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _fused_backward_flops,
}
"""What counts the FLOPs of an operation: torch's own formulas, and those of the fused attention."""
_FOUR_BIT = "bitsandbytes.gemm_4bit"
_INDEXED = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default}
_NN: Any = torch._C._nn
_IN_BF16 = {
    F.linear, F.conv2d, F.conv_transpose2d, F.scaled_dot_product_attention, torch.matmul, torch.bmm, torch.einsum,
    torch.addmm, torch.mm, torch.baddbmm, Tensor.matmul, Tensor.__matmul__, Tensor.bmm, Tensor.mm,
    F.multi_head_attention_forward,
}  # fmt: skip
"""What autocast computes in bf16, as far as models are made of it."""
_IN_FP32 = {
    torch.layer_norm, torch.group_norm, torch.softmax, torch.log_softmax, Tensor.softmax, Tensor.log_softmax,
    Tensor.sum, torch.sum, Tensor.pow, torch.pow, Tensor.square, Tensor.rsqrt, torch.rsqrt, Tensor.norm, torch.exp,
    _NN.cross_entropy_loss, _NN.mse_loss, torch.binary_cross_entropy_with_logits,
}  # fmt: skip
"""And what it computes in fp32."""
