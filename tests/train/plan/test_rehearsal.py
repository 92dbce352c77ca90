"""A step on shapes alone: what is kept and computed, against sums by hand and against a step with numbers."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from miras.train.plan.rehearsal import rehearse

ROWS, WIDTH = 64, 32
ONE = ROWS * WIDTH * 4
"""Bytes of one activation."""


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Sigmoid(), nn.Linear(WIDTH, WIDTH), nn.Sigmoid())


def _meta(net: nn.Module) -> tuple[nn.Module, Tensor]:
    return net.to("meta"), torch.empty(ROWS, WIDTH, device="meta")


def test_bytes_and_flops_are_those_of_a_sum_by_hand() -> None:
    net, x = _meta(_net())
    step = rehearse(net, lambda: net(x).sum(), autocast=False, accumulated=False)
    weights = 2 * (WIDTH * WIDTH + WIDTH) * 4
    # two sigmoids are kept, and the first is the second layer's input; x was there before; 4 bytes are the loss
    assert step.kept == 2 * ONE + 4
    assert step.gradients == weights
    product = 2 * ROWS * WIDTH * WIDTH
    assert step.forward == 2 * product
    assert step.backward == 3 * product  # both weights' gradients, and one of an input
    assert step.kept < step.peak <= step.kept + weights + 3 * ONE


def test_frozen_parts_without_gradient_keep_nothing() -> None:
    net, x = _meta(nn.Sequential(_net().requires_grad_(False), nn.Linear(WIDTH, 1)))
    step = rehearse(net, lambda: net(x).sum(), autocast=False, accumulated=False)
    assert step.kept == ONE + 4  # the input of what is trained, and the loss
    assert step.gradients == (WIDTH + 1) * 4


def test_what_is_kept_is_what_autograd_saves_with_numbers() -> None:
    net: nn.Module = nn.Sequential(
        nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.Tanh()
    )
    x, saved = torch.randn(ROWS, WIDTH), dict[int, int]()

    def note(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor), FlopCounterMode(display=False) as counted:
        loss = net(x).square().sum()
        loss.backward()
    own = {tensor.untyped_storage()._cdata for tensor in (x, *net.parameters())}
    wanted = sum(size for key, size in saved.items() if key not in own) + 4
    flops = counted.get_total_flops()
    net, x = _meta(net)
    step = rehearse(net, lambda: net(x).square().sum(), autocast=False, accumulated=False)
    assert step.kept == wanted
    assert step.forward + step.backward == flops


def test_checkpointing_keeps_less_and_computes_more() -> None:
    net, x = _meta(nn.ModuleList([_net() for _ in range(4)]))

    def loss(again: bool) -> Tensor:
        states = x
        for part in net.children():
            states = checkpoint(part, states, use_reentrant=False) if again else part(states)
        return states.sum()

    plain, saved = (rehearse(net, partial(loss, how), autocast=False, accumulated=False) for how in (False, True))
    assert plain.kept == 8 * ONE + 4
    assert saved.kept == 3 * ONE + 4  # the inputs of three parts; the first has x
    assert saved.forward == plain.forward
    assert saved.backward > plain.backward


def test_numbers_that_decide_shapes_are_used() -> None:
    net, x = _meta(nn.Linear(WIDTH, WIDTH))
    chosen = torch.arange(ROWS) < 10

    def loss() -> Tensor:
        picked = net(x)[chosen]
        assert picked.shape == (10, WIDTH)
        return picked.sum()

    step = rehearse(net, loss, autocast=False, accumulated=False)
    assert step.forward == 2 * ROWS * WIDTH * WIDTH


@pytest.mark.parametrize("autocast", [False, True])
def test_autocast_halves_what_products_keep(autocast: bool) -> None:
    net, x = _meta(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH), nn.Tanh()))
    step = rehearse(net, lambda: net(x).float().sum(), autocast=autocast, accumulated=False)
    copies = ONE // 2 + 2 * WIDTH * WIDTH * 2  # of x and of the weights, in bf16
    assert step.kept >= (ONE + copies - WIDTH * WIDTH * 2 if autocast else 2 * ONE)
    assert step.kept <= (ONE + copies + 2 * ONE if autocast else 2 * ONE + 4)


def test_earlier_gradients_lie_there_from_the_start() -> None:
    net, x = _meta(_net())
    first, later = (rehearse(net, lambda: net(x).sum(), autocast=False, accumulated=each) for each in (False, True))
    assert later.kept == first.kept
    assert later.peak > first.peak
    assert all(weight.grad is None for weight in net.parameters())
