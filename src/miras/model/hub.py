"""Hugging Face's Auto classes learn to read folders of this model."""

from transformers import AutoConfig, AutoModel, AutoProcessor

from miras.model.configuration import MirasConfig
from miras.model.miras import Miras
from miras.model.processing import MirasProcessor

__all__ = ["register"]


def register() -> None:
    """After this `AutoConfig`, `AutoModel` and `AutoProcessor` know the model type `miras`; `miras.Miras` calls it."""
    AutoConfig.register("miras", MirasConfig, exist_ok=True)
    AutoModel.register(MirasConfig, Miras, exist_ok=True)
    AutoProcessor.register(MirasConfig, MirasProcessor, exist_ok=True)
