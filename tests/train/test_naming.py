"""Region naming: image tokens learn without, and beside, a pass through the language model."""

from collections.abc import Callable

import pytest
import torch

from miras.config import TrainConfig
from miras.errors import ConfigError
from miras.train.loop import Training
from miras.train.naming import Naming

NAMED = {"text": "cached", "loss": {"naming": 1.0}, "ema": 0.0}
PARTS = dict.fromkeys(("fusion", "vision_projector", "low_stage32"), 3e-3)


def test_the_loss_falls_and_what_it_teaches_moves(training: Callable[..., Training]) -> None:
    made = training(**NAMED, parts=PARTS, steps=30)
    before = {name: weight.detach().clone() for name, weight in made.model.named_parameters() if weight.requires_grad}
    batch = made.batches.collator(64).masks_only(made.batches.samples(0))
    mode = made.mode
    naming = mode.naming  # type: ignore[attr-defined]
    assert isinstance(naming, Naming)

    def missed() -> float:
        with torch.no_grad():
            maps = made.model.vision.high(batch.high)
            return float(naming(made.model.vision(batch.low, maps, batch.content), batch))

    first = missed()
    coming = iter([batch] * 30)
    for _ in range(30):
        made._step(coming)
    assert missed() < 0.7 * first
    # the gate of the fusion opens first, so all that lies behind it moves too
    still = [name for name, weight in made.model.named_parameters() if name in before and weight.equal(before[name])]
    assert not still


def test_it_goes_on_beside_the_language_model(training: Callable[..., Training]) -> None:
    named, plain = (training(text="joint", loss={"text": 1.0, "naming": n}, ema=0.0) for n in (0.5, 0.0))
    batch = next(iter(named.batches))
    with_it, without = (made._losses(batch, 0).total.item() for made in (named, plain))
    assert with_it == pytest.approx(without + 0.5 * named._losses(batch, 0).naming.item(), rel=1e-5)
    assert plain._losses(batch, 0).naming.item() == 0 < named._losses(batch, 0).naming.item()


def test_absent_and_unknown_things_are_not_named(training: Callable[..., Training]) -> None:
    made = training(**NAMED, parts=PARTS)
    naming = made.mode.naming  # type: ignore[attr-defined]
    batch = made.batches.collator(64).masks_only(made.batches.samples(0))
    tokens = torch.randn(len(batch.high), 4, made.model.language.lm.config.hidden_size)
    known = float(naming(tokens, batch))
    batch.masks[0] = 0
    assert float(naming(tokens, batch)) != known
    batch.phrases = ("something never heard of",) * len(batch.phrases)
    spread = float(naming(tokens, batch))
    batch.masks[:] = 0
    assert float(naming(tokens, batch)) == spread


def test_a_qualified_phrase_goes_by_its_plain_name() -> None:
    plain = [Naming._plain(words) for words in ("leftmost car", "largest hot dog", "left mirror", "rearmost", "cup")]
    assert plain == ["car", "hot dog", "left mirror", "rearmost", "cup"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": "cached", "parts": {"fusion": 1e-3}}, "parts.fusion cannot be trained"),
        ({"text": "cached", "loss": {"naming": 1.0}, "parts": {"lora": 1e-3}}, "parts.lora cannot be trained"),
    ],
)
def test_contradictions_are_refused(
    settings: Callable[..., TrainConfig], changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        settings(**changes)
