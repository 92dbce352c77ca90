"""What an ablation trains: stages that all variants share, and what each variant changes in them."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from miras.config import TrainConfig, plain
from miras.errors import ConfigError
from miras.settings import change, read_settings, typed

__all__ = ["Plan", "Variant", "read_plan"]


@dataclass(frozen=True)
class Variant:
    """One row of the table."""

    name: str
    title: str
    """What the row says."""
    model: dict[str, Any] = field(default_factory=dict)
    """Fields of the preset that it replaces."""
    stages: dict[str, Any] = field(default_factory=dict)
    """Stage → settings that it changes by dotted name, or null for a stage that it leaves out."""


@dataclass(frozen=True)
class Plan:
    """An ablation."""

    preset: str
    stages: Mapping[str, Mapping[str, Any]]
    """Name → settings of `miras train`, in the order in which they are trained."""
    variants: Sequence[Variant]
    """The first is what the others are compared with."""

    def only(self, names: Sequence[str]) -> "Plan":
        """The plan with these variants alone. Raises ConfigError for one that it does not have."""
        known = {variant.name: variant for variant in self.variants}
        if wrong := [name for name in names if name not in known]:
            raise ConfigError(f"variants are {', '.join(known)}, got {wrong[0]!r}; name some of them")
        return Plan(self.preset, self.stages, [variant for variant in self.variants if variant.name in names])

    def configs(self, variant: Variant, seed: int, folder: Path, more: Mapping[str, Any]) -> list[TrainConfig]:
        """The runs that make one variant from one seed, each going on from the one before, below a folder.

        `more` holds settings for every run, such as `data`. Raises ConfigError for a setting that is wrong.
        """
        made: list[TrainConfig] = []
        for stage, settings in self.stages.items():
            changes = variant.stages.get(stage, {})
            if changes is None:
                continue
            start = {"init": made[-1].run} if made else {"preset": self.preset, "model": dict(variant.model)}
            data = {**deepcopy(dict(settings)), **start, **more, "seed": seed, "run": str(folder / stage)}
            for key, value in changes.items():
                change(data, key, value)
            made.append(plain(data))
        return made


def read_plan(name: str, settings: Sequence[str] = ()) -> Plan:
    """A plan of the package by its name, such as `nano`, or one of your own by its path.

    `settings` are laid over it, as in `stages.stage1.steps=50`. Raises ConfigError for what cannot be read.
    """
    own = name.endswith((".yaml", ".yml"))
    source = Path(name) if own else files("miras.ablate") / f"{name}.yaml"
    if not own and not source.is_file():
        known = sorted(one.name[:-5] for one in files("miras.ablate").iterdir() if one.name.endswith(".yaml"))
        raise ConfigError(f"plans are {', '.join(known)}, got {name!r}; choose one or give the path of a YAML file")
    data = read_settings(source, settings)
    if wrong := {"preset", "stages", "variants"} ^ set(data):
        raise ConfigError(f"{source} should hold preset, stages and variants, check {', '.join(sorted(wrong))}")
    variants = [typed(Variant, {"name": key, **(value or {})}) for key, value in data["variants"].items()]
    return Plan(data["preset"], data["stages"], variants)
