"""Weights under other people's names, both ways: original checkpoints, transformers' names, and our own."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miras.model.convert.part import adapt

__all__ = ["adapt"]


def __getattr__(name: str) -> Any:
    """Load what it needs on first use, so that `miras --help` need not wait for torch."""
    if name == "adapt":
        from miras.model.convert.part import adapt

        return adapt
    raise AttributeError(f"module 'miras.model.convert' has no attribute '{name}'")
