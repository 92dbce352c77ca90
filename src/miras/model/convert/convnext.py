"""Names of ConvNeXt: OpenCLIP's and timm's, transformers' model and its classifier."""

from miras.model.convert.rename import Rule, added, dropped, named, under

__all__ = ["CLASSIFIER", "MODEL", "OPENCLIP", "TEXT_TOWER", "TIMM"]

_STAGE = "encoder.stages.{stage}."
_LAYER = _STAGE + "layers.{block}."
_HEAD = "a classifier's head; we take maps, not classes"
_TEXT = "the text tower of CLIP; we take the image tower"

_TRUNK = (
    named("stem.0.{leaf}", "embeddings.patch_embeddings.{leaf}"),
    named("stem.1.{leaf}", "embeddings.layernorm.{leaf}"),
    named("stages.{stage}.downsample.{step}.{leaf}", _STAGE + "downsampling_layer.{step}.{leaf}"),
    named("stages.{stage}.blocks.{block}.gamma", _LAYER + "layer_scale_parameter"),
    named("stages.{stage}.blocks.{block}.conv_dw.{leaf}", _LAYER + "dwconv.{leaf}"),
    named("stages.{stage}.blocks.{block}.norm.{leaf}", _LAYER + "layernorm.{leaf}"),
    named("stages.{stage}.blocks.{block}.mlp.fc{n}.{leaf}", _LAYER + "pwconv{n}.{leaf}"),
    named("head.norm.{leaf}", "layernorm.{leaf}"),
)
_NORMS = "the norms of transformers' backbone, which start at one and zero"

MODEL: tuple[Rule, ...] = (
    added("high.hidden_states_norms.{rest}", _NORMS),
    named("embeddings.patch_embeddings.{leaf}", "high.embeddings.patch_embeddings.{leaf}"),
    named("embeddings.layernorm.{leaf}", "high.embeddings.layernorm.{leaf}"),
    named("encoder.stages.{stage}.{rest}", "high.encoder.stages.{stage}.{rest}"),
    named("layernorm.{leaf}", "high.layernorm.{leaf}"),
)
"""transformers' ConvNextModel."""

CLASSIFIER: tuple[Rule, ...] = (
    *under("convnext.", "", MODEL),
    dropped("classifier.{leaf}", _HEAD),
)
"""transformers' ConvNextForImageClassification, as on the hub."""

TIMM: tuple[Rule, ...] = (
    added("high.hidden_states_norms.{rest}", _NORMS),
    *under("", "high.", _TRUNK),
    dropped("head.fc.{leaf}", _HEAD),
    dropped("head.pre_logits.fc.{leaf}", _HEAD),
)
"""timm's `convnext_large` and its sisters."""

TEXT_TOWER: tuple[Rule, ...] = (
    *(dropped(name, _TEXT) for name in ("text.{rest}", "transformer.{rest}", "ln_final.{leaf}")),
    *(dropped(name, _TEXT) for name in ("token_embedding.weight", "positional_embedding", "text_projection")),
    *(dropped(name, _TEXT) for name in ("attn_mask", "logit_scale", "logit_bias")),
)
"""The other half of a CLIP of OpenAI's or OpenCLIP's."""

OPENCLIP: tuple[Rule, ...] = (
    added("high.hidden_states_norms.{rest}", _NORMS),
    *under("visual.trunk.", "high.", _TRUNK),
    dropped("visual.head.{rest}", "the projection into CLIP's space; we take maps"),
    *TEXT_TOWER,
)
"""OpenCLIP's `convnext_large_d_320` and its sisters; Mini-Gemini reads the same file."""
