"""The mask projector and the semantic region alignment."""

import pytest
import torch
import torch.nn.functional as F

from miras.errors import BatchError
from miras.model.alignment import MaskProjector, SemanticAlignment, gather_spans


def alignment(*, residual: bool = False, heads: int = 1) -> SemanticAlignment:
    torch.manual_seed(0)
    return SemanticAlignment(query_width=8, heads=heads, residual=residual).eval()


def test_spans_are_gathered_from_their_dialogues() -> None:
    states = torch.arange(2 * 6, dtype=torch.float32).reshape(2, 6, 1)
    around, length = gather_spans(states, torch.tensor([1, 0]), torch.tensor([[2, 4], [5, 5]]))
    assert around[..., 0].tolist() == [[8, 9, 10], [5, 5, 5]]
    assert length.tolist() == [3, 1]


@torch.no_grad()
def test_equals_equation_6_written_out() -> None:
    module, seg, span = alignment(), torch.randn(1, 8), torch.randn(1, 3, 8)
    (wq, wk, wv), (bq, bk, bv) = module.attention.in_proj_weight.chunk(3), module.attention.in_proj_bias.chunk(3)
    weights = F.softmax((span[0] @ wk.T + bk) @ (seg[0] @ wq.T + bq) / 8**0.5, 0)
    expected = module.out(module.attention.out_proj(weights @ (span[0] @ wv.T + bv)))
    assert torch.allclose(module(seg, span, torch.tensor([3]))[0], expected, atol=1e-5)


@pytest.mark.parametrize("heads", [1, 4])
def test_what_pads_a_span_is_never_looked_at(heads: int) -> None:
    module, seg, span = alignment(heads=heads), torch.randn(2, 8), torch.randn(2, 5, 8)
    length, changed = torch.tensor([2, 5]), span.clone()
    changed[0, 2:] = 99
    assert torch.equal(module(seg, span, length), module(seg, changed, length))
    assert torch.allclose(module(seg, span, length)[:1], module(seg[:1], span[:1, :2], length[:1]), atol=1e-6)
    changed[0, 1] = 99
    assert not torch.allclose(module(seg, span, length)[0], module(seg, changed, length)[0])


def test_the_residual_adds_to_the_query_through_an_open_gate() -> None:
    strict, added = alignment(), alignment(residual=True)
    seg, span, length = torch.randn(2, 8), torch.randn(2, 3, 8), torch.tensor([3, 1])
    assert torch.allclose(added(seg, span, length), seg + strict(seg, span, length), atol=1e-6)
    assert added.gate is not None and added.gate.tolist() == [1.0] and strict.gate is None


def test_empty_spans_are_refused() -> None:
    with pytest.raises(BatchError, match="at least one state"):
        alignment()(torch.randn(1, 8), torch.randn(1, 2, 8), torch.tensor([0]))


def test_everything_of_it_is_trained() -> None:
    module = alignment(residual=True)
    module(torch.randn(2, 8), torch.randn(2, 3, 8), torch.tensor([3, 2])).sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in module.parameters())


def test_the_projector_standardises_what_it_is_given() -> None:
    torch.manual_seed(0)
    projector = MaskProjector(width=4, query_width=3)
    states = torch.randn(100, 4) * 5 + 50
    raw = projector(states[:2])
    projector.standardize(states)
    assert torch.allclose(projector.mean, states.mean(0)) and torch.allclose(projector.deviation, states.std(0))
    assert torch.allclose(projector(states[:2]), projector.layers((states[:2] - states.mean(0)) / states.std(0)))
    assert not torch.allclose(projector(states[:2]), raw)
    assert {"mean", "deviation"} <= set(projector.state_dict())
    assert projector(states[:2].bfloat16()).dtype == torch.float32
