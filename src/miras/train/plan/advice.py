"""What to change in a run that does not fit, least harm first."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from miras.config import TrainConfig
from miras.train.plan.estimate import Plan

__all__ = ["Change", "advise"]

_Planned = Callable[[TrainConfig, bool], Plan]
"""Plans a configuration, with frozen encoders' features kept or not."""


@dataclass(frozen=True)
class Change:
    """One more thing to change, on top of those before it."""

    settings: str
    """As they are written on the command line."""
    costs: str
    """What it takes in return."""
    plan: Plan
    """Of the run with this change and those before it."""


def advise(config: TrainConfig, plan: Plan, planned: _Planned) -> list[Change]:
    """Changes to make one after the other until the run fits; all of them where it never does."""
    made: list[Change] = []
    features = config.features is not None
    for settings, costs in _possible(config, plan):
        if plan.fits:
            break
        if settings == _FEATURES:
            features = True
        else:
            config = replace(config, **_values(settings))
        plan = planned(config, features)
        made.append(Change(settings, costs, plan))
    return made


_FEATURES = "features=FOLDER"


def _possible(config: TrainConfig, plan: Plan) -> list[tuple[str, str]]:
    """Settings that this run does not have yet, and what each costs."""
    joint, found = config.text == "joint", list[tuple[str, str]]()
    if joint and not config.gradient_checkpointing:
        found.append(("gradient_checkpointing=true", "a third more work, the same numbers"))
    if config.images > 1:
        more = config.images * config.accumulate
        found.append((f"images=1 accumulate={more}", "smaller batches, so less of the device's speed"))
    if plan.feature_bytes and config.features is None:
        size = plan.feature_bytes / 1e6
        found.append((_FEATURES, f"{size:.1f} MB of disk per image, and images that nothing changes"))
    if plan.zero == 2:
        found.append(("zero=3", "weights are sent before each use"))
    if not config.quantize and plan.zero != 3 and (joint or plan.at_start):
        found.append(("quantize=nf4", "the frozen language model is rounded to 4 bits"))
    return found


def _values(settings: str) -> dict[str, Any]:
    read: dict[str, Any] = {"true": True, "nf4": "nf4"}
    pairs = (word.split("=") for word in settings.split())
    return {name: read[value] if value in read else int(value) for name, value in pairs}
