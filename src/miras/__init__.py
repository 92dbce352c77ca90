"""MIRAS: talk about an image over several turns and get the pixels that are meant."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miras.model.miras import Miras

__all__ = ["Miras"]


def __getattr__(name: str) -> Any:
    """Load the model's class on first use, so that `miras --help` need not wait for torch."""
    if name == "Miras":
        from miras.model.hub import register
        from miras.model.miras import Miras

        register()
        return Miras
    raise AttributeError(f"module 'miras' has no attribute '{name}'")
