"""A weight in oneDNN's order gives what the weight gives."""

import pytest
import torch
from torch import nn

from miras.model.ordered import OrderedLinear, order_weights

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch is built without oneDNN")


@pytest.mark.parametrize("rows", [1, 7, 16, 130])
@pytest.mark.parametrize("bias", [True, False])
def test_products_are_the_same(rows: int, bias: bool) -> None:
    layer = nn.Linear(96, 40, bias=bias)
    ordered, x = OrderedLinear(layer), torch.randn(2, rows, 96)
    with torch.inference_mode():
        assert torch.allclose(ordered(x), layer(x), atol=1e-5)
        assert ordered._ordered is not None


def test_gradients_and_other_types_go_by_the_weight() -> None:
    layer = nn.Linear(96, 40)
    ordered, x = OrderedLinear(layer), torch.randn(3, 96)
    assert torch.equal(ordered(x), layer(x))
    ordered(x).sum().backward()
    assert layer.weight.grad is not None
    with torch.inference_mode():
        assert ordered.bfloat16()(x.bfloat16()).dtype == torch.bfloat16
    assert ordered._ordered is None


def test_a_weight_that_changes_is_ordered_anew() -> None:
    ordered, x = OrderedLinear(nn.Linear(96, 40)), torch.randn(3, 96)
    with torch.no_grad():
        before = ordered(x)
        ordered.weight.mul_(2)
        assert torch.allclose(ordered(x) - ordered.bias, 2 * (before - ordered.bias), atol=1e-5)


def test_names_of_weights_stay() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.GELU(), nn.Linear(4, 2, bias=False)))
    names = list(net.state_dict())
    order_weights(net)
    assert list(net.state_dict()) == names
    assert [type(layer).__name__ for layer in net.modules()].count("OrderedLinear") == 2
