"""The fusion against a plain computation, and the backbones behind one interface."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from miras.model.miras import Miras
from miras.model.vision import Fusion, VisionProjector

GRID, CELLS = 3, 2
WHOLE = torch.tensor([[1.0, 1.0]])


def fusion(*, windowed: bool = True, residual: bool = True) -> Fusion:
    torch.manual_seed(0)
    made = Fusion(low=8, high=5, windowed=windowed, cells=CELLS, residual=residual)
    if made.gate is not None:
        torch.nn.init.normal_(made.gate)
    return made


@pytest.fixture
def low() -> Tensor:
    return torch.randn(1, 8, GRID, GRID, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def maps() -> tuple[Tensor, ...]:
    """Two maps at exactly the size that the fusion looks at, so that nothing is interpolated."""
    generator = torch.Generator().manual_seed(2)
    return tuple(torch.randn(1, n, GRID * CELLS, GRID * CELLS, generator=generator) for n in (2, 3))


@pytest.mark.parametrize("windowed", [True, False])
@torch.no_grad()
def test_equals_equation_4_written_out(low: Tensor, maps: tuple[Tensor, ...], windowed: bool) -> None:
    module = fusion(windowed=windowed, residual=False)
    fused = module(low, maps, WHOLE)[0]
    high = torch.cat(maps, 1)[0]
    for row in range(GRID):
        for column in range(GRID):
            query = module.q(module.low_norm(low[0, :, row, column]))
            rows, columns = (slice(n * CELLS, (n + 1) * CELLS) if windowed else slice(None) for n in (row, column))
            cells = module.high_norm(high[:, rows, columns].flatten(1).T)
            weights = F.softmax(module.k(cells) @ query / 8**0.5, 0)
            seen = weights @ module.v(cells)
            expected = module.mlp(seen) + seen
            assert torch.allclose(fused[row * GRID + column], expected, atol=1e-5)


@pytest.mark.parametrize("windowed", [True, False])
def test_padding_is_never_looked_at(low: Tensor, maps: tuple[Tensor, ...], windowed: bool) -> None:
    module = fusion(windowed=windowed, residual=False)
    content = torch.tensor([[0.5, 1.0]])  # the upper three rows of cells are real
    changed = tuple(x.clone() for x in maps)
    for x in changed:
        x[..., 3:, :] += 100
        x.requires_grad_()
    real = slice(0, 2 * GRID)  # the third row of tokens sees padding alone and is no image token
    before, after = (module(low, x, content)[0, real] for x in (maps, changed))
    assert torch.equal(before, after)
    after.sum().backward()
    for x in changed:
        assert x.grad is not None and x.grad.isfinite().all()
        assert not x.grad[..., 3:, :].any() and x.grad[..., :3, :].any()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in module.parameters())


def test_the_residual_starts_closed(low: Tensor, maps: tuple[Tensor, ...]) -> None:
    module = Fusion(low=8, high=5, windowed=True, cells=CELLS, residual=True)
    assert torch.equal(module(low, maps, WHOLE), low.flatten(2).transpose(1, 2))
    assert Fusion(low=8, high=5, windowed=True, cells=CELLS, residual=False).gate is None
    torch.nn.init.ones_(module.get_parameter("gate"))
    strict = Fusion(low=8, high=5, windowed=True, cells=CELLS, residual=False)
    strict.load_state_dict(module.state_dict() | {}, strict=False)
    added = low.flatten(2).transpose(1, 2) + strict(low, maps, WHOLE)
    assert torch.allclose(module(low, maps, WHOLE), added, atol=1e-6)


def test_windowed_tokens_see_their_own_cells_only(low: Tensor, maps: tuple[Tensor, ...]) -> None:
    changed = tuple(x.clone() for x in maps)
    changed[0][..., 0, 0] += 5
    near, far = (fusion(windowed=w) for w in (True, False))
    moved = (near(low, maps, WHOLE) - near(low, changed, WHOLE)).abs().sum(-1)[0] > 1e-6
    assert moved.tolist() == [True] + [False] * (GRID * GRID - 1)
    assert ((far(low, maps, WHOLE) - far(low, changed, WHOLE)).abs().sum(-1) > 0).all()


@torch.no_grad()
def test_an_image_is_seen_alike_alone_and_in_a_batch(tiny: Miras, picture: Any) -> None:
    from miras.data.images import Canvas

    canvases = [Canvas(40, 60), Canvas(64, 20)]
    images = [picture(40, 60), picture(64, 20, 1)]
    views = [torch.stack([c.view(i, n) for c, i in zip(canvases, images, strict=True)]) for n in (64, 128)]
    content = torch.tensor([canvas.content for canvas in canvases])
    together = tiny.see(views[0], views[1], content)
    assert together.tokens.shape == (2, 4, 64)
    assert [x.shape[-1] for x in together.maps] == [32, 16, 8, 4]
    for index in range(2):
        one = slice(index, index + 1)
        alone = tiny.see(views[0][one], views[1][one], content[one])
        assert torch.allclose(alone.tokens, together.tokens[one], atol=1e-5)


@torch.no_grad()
def test_without_fusion_tokens_come_from_the_low_view_alone(make: Any) -> None:
    views = torch.randn(1, 3, 64, 64), torch.randn(1, 3, 128, 128)
    alone = make(fusion="none")
    assert alone.vision.fusion is None and not any("fusion" in name for name in alone.state_dict())
    seen = alone.see(*views, WHOLE)
    assert torch.equal(seen.tokens, alone.see(views[0], -views[1], WHOLE).tokens)
    assert not torch.equal(seen.tokens, alone.see(-views[0], views[1], WHOLE).tokens)
    dual = make()
    torch.nn.init.ones_(dual.vision.fusion.gate)
    assert not torch.equal(dual.see(*views, WHOLE).tokens, dual.see(views[0], -views[1], WHOLE).tokens)


def test_positions_tell_equal_cells_apart(make: Any) -> None:
    blank = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 128, 128), WHOLE
    with torch.no_grad():
        plain, placed = (make(token_positions=p).see(*blank).tokens[0] for p in (False, True))
    assert (placed - placed.flip(0)).abs().max() > (plain - plain.flip(0)).abs().max()


def test_the_projector_is_two_layers() -> None:
    assert VisionProjector(channels=8, width=6)(torch.zeros(2, 4, 8)).shape == (2, 4, 6)
    assert [tuple(p.shape) for p in VisionProjector(channels=8, width=6).parameters()] == [(6, 8), (6,), (6, 6), (6,)]
