"""Every layout of names that is known, and which of them a file has.

All of them are tables against one set of names: `language.`, `low.`, `high.`, `pixel.` and `projector.` before
the names of transformers' LlamaForCausalLM, CLIPVisionModel, ConvNextModel, SamModel or Sam2Model and LLaVA's
projector, and `mask_projector.` with its layers' numbers. So any layout can be turned into any other that holds the
same parts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from miras.errors import CheckpointError, ConfigError
from miras.model.convert import convnext, llava, ours, sam, sam2
from miras.model.convert.rename import Rule, unmatched

__all__ = ["LAYOUTS", "Layout", "find", "recognise"]


@dataclass(frozen=True)
class Layout:
    """One way of naming weights."""

    name: str
    what: str
    """Whose names they are, and an example."""
    rules: tuple[Rule, ...]
    """Its names (theirs) against the common ones (ours)."""
    hub: str = ""
    """The layout of transformers that holds the same parts; empty where none does, its own name where it is one."""


LAYOUTS: tuple[Layout, ...] = (
    Layout("convnext", "transformers' ConvNextModel", convnext.MODEL, "convnext"),
    Layout("convnext-classifier", "transformers' ConvNextForImageClassification", convnext.CLASSIFIER, "convnext"),
    Layout("openclip-convnext", "OpenCLIP's convnext_large_d_320", convnext.OPENCLIP, "convnext"),
    Layout("timm-convnext", "timm's convnext_large", convnext.TIMM, "convnext"),
    Layout("sam-hf", "transformers' SamModel", sam.MODEL, "sam-hf"),
    Layout("sam", "Meta's sam_vit_b, sam_vit_l and sam_vit_h", sam.ORIGINAL, "sam-hf"),
    Layout("sam2-hf", "transformers' Sam2Model", sam2.MODEL, "sam2-hf"),
    Layout("sam2", "Meta's sam2_hiera and sam2.1_hiera of all sizes", sam2.ORIGINAL, "sam2-hf"),
    Layout("clip", "transformers' CLIPVisionModel or CLIPModel", llava.CLIP, "clip"),
    Layout("openai-clip", "OpenAI's and OpenCLIP's CLIP with a ViT", llava.OPENAI, "clip"),
    Layout("llama", "transformers' LlamaForCausalLM, such as Vicuna", llava.LLAMA, "llama"),
    Layout("llava", "LLaVA's own releases, liuhaotian/llava-v1.6-vicuna-7b", llava.ORIGINAL, "llava-hf"),
    Layout("llava-hf", "transformers' LLaVA on the hub, llava-hf/llava-v1.6-vicuna-7b-hf", llava.HUB, "llava-hf"),
    Layout("llava-memory", "the same as transformers 5 has it in memory", llava.MEMORY, "llava-hf"),
    Layout("lisa", "LISA's releases, xinlai/LISA-7B-v1", llava.LISA),
    Layout("miras", "our own models", ours.MODEL),
)
"""The layouts in the order in which they are tried: of two that know all names the one with fewer parts comes first."""

_SHOWN = 3
"""Layouts whose unknown names a complaint lists, the closest first."""


def find(name: str) -> Layout:
    """A layout by its name. Raises ConfigError."""
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise ConfigError(f"layouts are {', '.join(layout.name for layout in LAYOUTS)}, got {name!r}; choose one or auto")


def recognise(names: Iterable[str]) -> Layout:
    """The layout that knows all of the names. Raises CheckpointError with the first names each did not know."""
    names = list(names)
    tried: dict[str, list[str]] = {}
    for layout in LAYOUTS:
        if not (unknown := unmatched(names, layout.rules)):
            return layout
        tried[layout.name] = unknown
    closest = sorted(tried, key=lambda name: len(tried[name]))
    told = "; ".join(f"{name} lacks {len(tried[name])}: {', '.join(tried[name][:3])}" for name in closest[:_SHOWN])
    others = ", ".join(closest[_SHOWN:])
    raise CheckpointError(
        f"{len(names)} names should all be of one known layout, got none that knows them ({told}; nor {others})"
    )
