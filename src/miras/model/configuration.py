"""The model's configuration in Hugging Face's manner, and configurations by the name of a preset."""

from copy import deepcopy
from dataclasses import field
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from miras.data.collate import Views
from miras.errors import ConfigError
from miras.model.presets import PRESETS

__all__ = ["MirasConfig", "preset"]


@strict
class MirasConfig(PreTrainedConfig):
    """Everything needed to build the modules; sizes are given per part, as keyword arguments of its builder."""

    model_type = "miras"

    language: dict[str, Any] = field(default_factory=dict)
    """Configuration of the language model, with its `model_type`."""
    low: dict[str, Any] = field(default_factory=dict)
    """Low-resolution encoder: `kind`, `size` of its view in pixels, and what its builder takes."""
    high: dict[str, Any] = field(default_factory=dict)
    """High-resolution encoder, likewise; empty for none, as in LISA."""
    pixel: dict[str, Any] = field(default_factory=dict)
    """Pixel encoder and mask decoder, likewise; `kind` is pyramid, sam or sam2."""
    image_grid: int = 8
    """Image tokens per side of the square canvas."""
    fusion: Literal["none", "global", "windowed"] = "windowed"
    """Which high-resolution cells a low-resolution token attends to: none, all (equation 4) or its own."""
    fusion_cells: int = 4
    """High-resolution cells per side of one low-resolution token."""
    fusion_residual: bool = True
    """Keep the low-resolution features and add the fused ones through a gate; False is equation 4 to the letter."""
    projector: Literal["mlp", "linear", "norm_mlp"] = "mlp"
    """From image cells to the language model: LLaVA 1.5's two layers, LISA's one, or InternVL's two after a norm."""
    token_positions: bool = False
    """Add sine positions to image tokens, for encoders that have none of their own."""
    query_width: int = 256
    """Width of a mask query."""
    alignment: Literal["none", "half", "full"] = "full"
    """Whether replies name their targets: never, in a seeded half of the samples, or always."""
    alignment_heads: int = 8
    """Attention heads of the semantic region alignment."""
    alignment_residual: bool = False
    """Add the aligned vector to the [SEG] query instead of replacing it."""
    seg_state: Literal["input", "predicting"] = "input"
    """Which state stands for [SEG]: of the token fed back, or the one before it, which predicts it."""
    lora: dict[str, Any] = field(default_factory=dict)
    """Rank, alpha, dropout and target modules of the language model's LoRA; empty for none."""
    chat: Literal["chatml", "internvl", "lisa", "vicuna"] = "chatml"
    """How turns are written down; see `miras.data.encode`."""
    max_context: int = 2048
    """Tokens that a conversation may use, the image's included."""
    sources: dict[str, str] = field(default_factory=dict)
    """Part → where its pretrained weights come from; see `miras.model.sources`."""
    source_prints: dict[str, str] = field(default_factory=dict)
    """Part → fingerprint of those weights, in checkpoints that hold only what was trained."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.high and self.high["size"] % 32:
            raise ConfigError(f"high.size must be a multiple of 32 px, got {self.high['size']}; choose 448 or 576")
        if self.low and (cells := self.low["size"] / self._cell) != self.image_grid:
            raise ConfigError(
                f"image_grid must be the cells per side of the low-resolution map, {cells:g}, got {self.image_grid}; "
                "change it or low.size"
            )
        self._check_high()
        if self.max_context > (most := self.language.get("max_position_embeddings", self.max_context)):
            raise ConfigError(
                f"max_context must be at most the language model's {most} positions, got {self.max_context}; lower it"
            )

    @property
    def _cell(self) -> int:
        """Pixels of the low-resolution view per side of one image token."""
        return int(self.low.get("patch_size", 32)) * int(self.low.get("shuffle", 1))

    def _check_high(self) -> None:
        """Raise ConfigError where something needs the high-resolution encoder that is not there."""
        if self.high or not self.low:
            return
        if self.fusion != "none":
            raise ConfigError(
                f"fusion {self.fusion} needs a high-resolution encoder, high is empty; write fusion: none"
            )
        if self.pixel.get("kind") != "sam":
            raise ConfigError(
                f"pixel.kind {self.pixel.get('kind')} works on the high-resolution encoder's maps, high is empty; "
                "write pixel.kind: sam"
            )

    def views(self) -> Views:
        """The views of the canvas that the model looks at; high is 0 px where there is no such encoder."""
        return Views(self.low["size"], self.high.get("size", 0), self.image_grid, self.pixel.get("size"))


def preset(name: str, **changes: Any) -> MirasConfig:
    """The configuration of a preset with some of its fields changed.

    Of a part, only what is named changes, such as `sources={"language": "/weights/llava"}`; a part that names its
    `kind` or `model_type` is a new one, and an empty one is none. Raises ConfigError for an unknown preset.
    """
    if name not in PRESETS:
        raise ConfigError(
            f"presets are {', '.join(PRESETS)}, got {name!r}; choose one or give a folder with config.json"
        )
    values: dict[str, Any] = deepcopy(PRESETS[name])
    for key, value in changes.items():
        inside = isinstance(value, dict) and value and not {"kind", "model_type"} & set(value)
        values[key] = {**values.get(key, {}), **value} if inside else value
    return MirasConfig(**values)
