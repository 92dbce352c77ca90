"""Region naming: image tokens are drawn to the words for what they show."""

import pytest
import torch

from miras.model.naming import RegionNaming, coverage

WHOLE = torch.ones(1, 2)


def words(count: int, width: int = 16) -> torch.Tensor:
    """Some word embeddings that are far apart."""
    return torch.eye(width)[:count] * 3.0


@pytest.fixture
def naming() -> RegionNaming:
    return RegionNaming(names=words(4), colors=words(8)[4:], rows=words(11)[8:], columns=words(14)[11:])


def test_coverage_scales_each_object_by_the_cell_it_covers_most() -> None:
    masks = torch.zeros(2, 4, 4)
    masks[0, :2, :2] = 1  # one whole cell of a 2 x 2 grid
    masks[1, 0, 0] = 1  # a quarter of that cell
    masks[1, 3, 2:] = 1  # half of the last one
    assert coverage(masks, 2).tolist() == [[1, 0, 0, 0], [0.5, 0, 0, 1]]


def test_an_empty_mask_covers_nothing() -> None:
    assert coverage(torch.zeros(1, 4, 4), 2).tolist() == [[0, 0, 0, 0]]


def test_tokens_on_their_words_cost_less_than_on_others(naming: RegionNaming) -> None:
    cover, image = torch.tensor([[1.0, 0.0, 0.0, 0.0]]), torch.tensor([0])
    tokens = words(4)[[2, 0, 0, 0]][None]
    none = torch.tensor([-1])
    right = naming(tokens, WHOLE, cover, image, torch.tensor([2]), none)
    wrong = naming(tokens, WHOLE, cover, image, torch.tensor([1]), none)
    assert float(right) < float(wrong) - 1


def test_cells_that_are_not_covered_do_not_matter(naming: RegionNaming) -> None:
    cover, image, name = torch.tensor([[1.0, 0.0]]), torch.tensor([0]), torch.tensor([2])
    tokens = torch.randn(1, 2, 16, generator=torch.Generator().manual_seed(0), requires_grad=True)
    naming._miss(torch.nn.functional.normalize(tokens, dim=-1), naming.names, cover, image, name).backward()
    assert tokens.grad is not None
    assert tokens.grad[0, 0].abs().sum() > 0
    assert tokens.grad[0, 1].abs().sum() == 0


def test_an_object_counts_by_the_root_of_its_size(naming: RegionNaming) -> None:
    cover, image = torch.tensor([[1.0, 1, 1, 1, 0], [0, 0, 0, 0, 1]]), torch.tensor([0, 0])
    tokens = torch.nn.functional.normalize(torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(2)), dim=-1)

    def miss(*which: int) -> float:
        chosen = list(which)
        names = torch.tensor([1, 2])[chosen]
        return float(naming._miss(tokens, naming.names, cover[chosen], image[chosen], names))

    assert miss(0, 1) == pytest.approx((2 * miss(0) + miss(1)) / 3, rel=1e-5)  # four cells and one


def test_an_unknown_color_adds_nothing_and_a_known_one_does(naming: RegionNaming) -> None:
    cover, image, name = torch.ones(1, 4), torch.tensor([0]), torch.tensor([0])
    tokens = torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(1))
    without = naming(tokens, WHOLE, cover, image, name, torch.tensor([-1]))
    assert float(naming(tokens, WHOLE, cover, image, name, torch.tensor([3]))) > float(without)


def test_tokens_on_the_words_for_their_place_cost_less_and_padding_costs_nothing(naming: RegionNaming) -> None:
    content = torch.tensor([[0.5, 1.0]])  # a grid of 6 x 6 cells whose upper three rows are real
    rows, columns = words(11)[8:], words(14)[11:]
    right = (rows[[0, 1, 2, 2, 2, 2]][:, None] + columns[[0, 0, 1, 1, 2, 2]]).flatten(0, 1)[None]
    nothing = torch.zeros(0, dtype=torch.long)

    def cost(tokens: torch.Tensor) -> float:
        direction = torch.nn.functional.normalize(tokens - naming.center, dim=-1)
        return float(naming._misplaced(direction, content))

    upside_down, padded = right.flip(1), right.clone()
    padded[:, 18:] = rows[0]
    assert cost(right) < 0.1 < cost(upside_down) - 1
    assert cost(padded) == cost(right)
    assert float(naming(right, content, torch.zeros(0, 36), nothing, nothing, nothing)) < 1


def test_training_on_it_names_the_regions(naming: RegionNaming) -> None:
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randn(1, 4, 16, generator=generator, requires_grad=True)
    cover, image, name = torch.eye(4), torch.zeros(4, dtype=torch.long), torch.tensor([3, 1, 0, 2])
    optimizer = torch.optim.Adam([tokens], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        naming(tokens, WHOLE, cover, image, name, torch.full((4,), -1)).backward()
        optimizer.step()
    direction = torch.nn.functional.normalize(tokens.detach() - naming.center, dim=-1)
    assert (direction @ naming.names.T).argmax(-1)[0].tolist() == name.tolist()


def test_no_objects_still_give_a_graph(naming: RegionNaming) -> None:
    tokens = torch.randn(1, 4, 16, requires_grad=True)
    nothing = torch.zeros(0, dtype=torch.long)
    naming(tokens, WHOLE, torch.zeros(0, 4), nothing, nothing, nothing).backward()
    assert tokens.grad is not None


def test_a_word_of_several_tokens_is_their_mean() -> None:
    embeddings = torch.eye(6)
    naming = RegionNaming.from_words(embeddings, names=[[0], [1, 2]], colors=[[3]], rows=[[4]], columns=[[5]])
    expected = torch.nn.functional.normalize((embeddings[1] + embeddings[2]) / 2 - naming.center, dim=-1)
    assert torch.allclose(naming.names[1], expected)
