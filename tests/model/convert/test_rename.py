"""Rules of names: both directions, what goes together, what is told when something does not fit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from miras.errors import CheckpointError
from miras.model.convert.rename import added, dropped, named, rename, reshaped, shared, split, under, unmatched

RULES = (
    named("blocks.{n}.norm{m}.{leaf}", "layers.{n}.layer_norm{m}.{leaf}"),
    split("blocks.{n}.qkv.{leaf}", "layers.{n}.q.{leaf}", "layers.{n}.k.{leaf}", "layers.{n}.v.{leaf}"),
    shared("places", "here.places", "there.places"),
    reshaped("mix.weight", "mix.weight", lambda x: x[:, :, 0, 0], lambda x: x[:, :, None, None]),
    reshaped("turned", "straight", lambda x: x.T, lambda x: x.T),
    dropped("head.{rest}", "no classes"),
    added("norms.{rest}", "made anew"),
)


def _state(layers: int, width: int) -> dict[str, Tensor]:
    state = {"places": torch.randn(2, width), "mix.weight": torch.randn(width, width, 1, 1)}
    state["turned"] = torch.randn(width, 3)
    for n in range(layers):
        state |= {f"blocks.{n}.norm1.weight": torch.randn(width), f"blocks.{n}.norm2.bias": torch.randn(width)}
        state |= {
            f"blocks.{n}.qkv.weight": torch.randn(3 * width, width),
            f"blocks.{n}.qkv.bias": torch.randn(3 * width),
        }
    return state


@given(layers=st.integers(0, 12), width=st.integers(1, 5))
def test_there_and_back_is_the_same_to_the_bit(layers: int, width: int) -> None:
    state = _state(layers, width)
    there = rename(state, RULES).state
    back = rename(there, RULES, reverse=True).state
    assert there.keys().isdisjoint(state.keys() - {"mix.weight"})
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in state.items())


def test_a_fused_weight_is_its_parts_in_order() -> None:
    fused = torch.arange(12.0).reshape(6, 2)
    there = rename({"blocks.4.qkv.weight": fused}, RULES).state
    assert list(there) == ["layers.4.q.weight", "layers.4.k.weight", "layers.4.v.weight"]
    assert there["layers.4.k.weight"].tolist() == [[4.0, 5.0], [6.0, 7.0]]


def test_what_has_no_place_is_left_out_and_told() -> None:
    there = rename({"head.fc.weight": torch.ones(1), "places": torch.ones(1)}, RULES)
    assert there.dropped == {"head.fc.weight": "no classes"}
    assert sorted(there.state) == ["here.places", "there.places"]
    back = rename({**there.state, "norms.1.weight": torch.ones(1)}, RULES, reverse=True)
    assert back.dropped == {"norms.1.weight": "made anew"}
    assert list(back.state) == ["places"]


def test_every_unknown_name_is_listed() -> None:
    state = {name: torch.ones(1) for name in ("blocks.x.norm1.weight", "blocks.0.norm1.scale", "places")}
    with pytest.raises(CheckpointError, match=r"2 others: blocks\.x\.norm1\.weight, blocks\.0\.norm1\.scale;"):
        rename(state, RULES)
    assert unmatched(state, RULES) == ["blocks.x.norm1.weight", "blocks.0.norm1.scale"]


def test_a_weight_without_those_it_goes_together_with_is_unknown() -> None:
    lone = {"layers.0.q.weight": torch.ones(1, 1), "layers.0.v.weight": torch.ones(1, 1)}
    assert unmatched(lone, RULES, reverse=True) == ["layers.0.q.weight", "layers.0.v.weight"]
    with pytest.raises(CheckpointError, match=r"layers\.0\.q\.weight"):
        rename(lone, RULES, reverse=True)


def test_shared_weights_that_differ_are_refused() -> None:
    with pytest.raises(CheckpointError, match="same numbers"):
        dict(rename({"here.places": torch.ones(2), "there.places": torch.zeros(2)}, RULES, reverse=True).state)


def test_two_weights_for_one_name_are_refused() -> None:
    rules = (named("a.{n}", "c.{n}"), named("b.{n}", "c.{n}"))
    with pytest.raises(CheckpointError, match=r"c\.1 .* twice, last from b\.1"):
        rename({"a.1": torch.ones(1), "b.1": torch.ones(1)}, rules)


def test_prefixes_and_numbers_of_several_digits() -> None:
    rules = under("model.", "inner.", RULES)
    there = rename({"model.blocks.31.norm1.weight": torch.ones(1)}, rules).state
    assert list(there) == ["inner.layers.31.layer_norm1.weight"]
    assert unmatched(["blocks.31.norm1.weight"], rules) == ["blocks.31.norm1.weight"]


def test_tensors_are_not_copied() -> None:
    weight = torch.ones(6, 2)
    there = rename({"blocks.0.norm1.weight": weight, "blocks.0.qkv.weight": weight}, RULES).state
    assert there["layers.0.layer_norm1.weight"] is weight
    assert there["layers.0.q.weight"].data_ptr() == weight.data_ptr()


def test_tensors_are_looked_at_when_they_are_asked_for() -> None:
    asked: list[str] = []

    class Watched(dict[str, Tensor]):
        def __getitem__(self, name: str) -> Tensor:
            asked.append(name)
            return super().__getitem__(name)

    found = rename(Watched(_state(2, 2)), RULES).state
    assert not asked
    assert found["layers.1.k.bias"].shape == (2,)
    assert asked == ["blocks.1.qkv.bias"]
    assert list(found.only({"here.places": "x"})) == ["x"]
