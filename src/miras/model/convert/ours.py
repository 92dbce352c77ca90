"""Names of our own model against the common ones."""

from miras.model.convert.rename import Rule, added, dropped, named, under
from miras.model.convert.sam import PART

__all__ = ["MODEL"]

_NEW = "rows of our new tokens, which no other model has"

MODEL: tuple[Rule, ...] = (
    named("language.lm.{rest}", "language.{rest}"),
    named("vision.low.model.{rest}", "low.{rest}"),
    named("vision.high.model.{rest}", "high.{rest}"),
    added("high.layernorm.{leaf}", "the norm before ConvNeXt's classifier; we take maps"),
    named("vision.projector.0.{leaf}", "projector.linear_1.{leaf}"),
    named("vision.projector.2.{leaf}", "projector.linear_2.{leaf}"),
    named("mask_projector.layers.{n}.{leaf}", "mask_projector.{n}.{leaf}"),
    *under("pixel.", "pixel.", PART),
    added("image_newline", "ends rows of LLaVA 1.6's tiles; we show one view"),
    dropped("language.rows", _NEW),
    dropped("language.out_rows", _NEW),
)
"""`miras.Miras` without LoRA."""
