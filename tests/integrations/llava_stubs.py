"""Stand-ins for LISA, PixelLM and GLaMM, which stand on one LLaVA and give the whole sequence back."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from tests.integrations.peer_stubs import Letters, Truth, common, put

__all__ = ["install_glamm", "install_lisa", "install_pixellm"]


class _Chat:
    """The two-separator conversation of LLaVA."""

    roles = ("USER", "ASSISTANT")

    def __init__(self) -> None:
        self.messages: Any = ()

    def copy(self) -> "_Chat":
        return _Chat()

    def append_message(self, role: str, text: str | None) -> None:
        self.messages.append([role, text])

    def get_prompt(self) -> str:
        ends = (" ", "</s>")
        said = [f"{role}: {text}{ends[n % 2]}" if text else f"{role}:" for n, (role, text) in enumerate(self.messages)]
        return "You are kind. " + "".join(said)


def _image_ids(prompt: str, tokenizer: Letters, return_tensors: str) -> torch.Tensor:
    assert return_tensors == "pt" and prompt.count("<image>") == 1
    before, after = prompt.split("<image>")
    return torch.tensor([*tokenizer.encode(before), -200, *tokenizer.encode(after, False)])


class _Longest:
    def __init__(self, side: int) -> None:
        self.target_length = side

    def apply_image(self, image: np.ndarray) -> np.ndarray:
        scale = self.target_length / max(image.shape[:2])
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        return np.array(Image.fromarray(image).resize(size))


def _padded(pixels: torch.Tensor, img_size: int = 1024) -> torch.Tensor:
    return F.pad(pixels.float(), (0, img_size - pixels.shape[-1], 0, img_size - pixels.shape[-2]))


class _Clip:
    size = {"shortest_edge": 448}  # noqa: RUF012

    @classmethod
    def from_pretrained(cls, _: str) -> "_Clip":
        return cls()

    def preprocess(self, image: np.ndarray, return_tensors: str) -> dict[str, torch.Tensor]:
        return {"pixel_values": torch.zeros(1, 3, 224, 224)}


@dataclass
class _Llava:
    """What LISA, PixelLM and GLaMM share: the sequence comes back whole, with a mask for every [SEG] in it."""

    truth: Truth
    opened_by: str
    written: str = "[SEG]"
    asked: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    config: Any = field(default_factory=lambda: SimpleNamespace(vision_tower="clip"))

    def from_pretrained(self, _: str, **options: Any) -> "_Llava":
        self.options = options
        return self

    def get_model(self) -> Any:
        tower = SimpleNamespace(to=lambda **_: None)
        return SimpleNamespace(config=None, initialize_vision_modules=lambda _: None, get_vision_tower=lambda: tower)

    def bfloat16(self) -> "_Llava":
        return self

    cuda = eval = bfloat16

    def answered(self, pixels: Any, ids: Any, size: Any, original: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """The whole sequence, and the (n, H, W) logits: of earlier turns all of the image, of this reply the truth."""
        [(height, width)], [(rows, columns)] = size, original
        assert pixels.shape == (1, 3, 1024, 1024) and max(height, width) == 1024
        prompt = Letters().decode(ids[0])
        assert prompt.count(self.opened_by) == 1 and prompt.endswith("ASSISTANT:")
        self.asked.append(prompt)
        text, mask = self.truth[prompt.rpartition("USER: ")[2].partition(" ASSISTANT:")[0].removeprefix(self.opened_by)]
        assert mask.shape == (rows, columns)
        new = Letters().encode(text.format(seg=self.written) + "</s>", False)
        whole, true = np.ones_like(mask), [mask] * text.count("{seg}")
        logits = np.stack([*[whole] * prompt.count(self.written), *true, whole])[:-1] * 2.0 - 1
        return torch.cat([ids, torch.tensor([new])], dim=1), torch.from_numpy(logits)


def _llava(patch: pytest.MonkeyPatch, sam: str, **modules: Any) -> None:
    common(patch, CLIPImageProcessor=_Clip)
    put(patch, "model.llava.conversation", conv_templates={"llava_v1": _Chat()})
    put(patch, "model.llava", conversation=sys.modules["model.llava.conversation"])
    put(patch, "model.llava.mm_utils", tokenizer_image_token=_image_ids)
    put(patch, f"model.{sam}.utils.transforms", ResizeLongestSide=_Longest)


def install_lisa(patch: pytest.MonkeyPatch, truth: Truth) -> Callable[[], list[str]]:
    """LISA's modules; gives what the model was shown."""

    class Lisa(_Llava):
        def evaluate(
            self, seen: Any, pixels: Any, ids: Any, size: Any, original: Any, max_new_tokens: int, tokenizer: Any
        ) -> Any:
            assert seen.shape == (1, 3, 224, 224) and self.options["seg_token_idx"] == 200_000
            words, masks = self.answered(pixels, ids, size, original)
            return words, [masks]

    model = Lisa(truth, "<im_start><im_end>\n")
    _llava(patch, "segment_anything")
    put(patch, "chat", preprocess=_padded)
    put(patch, "model.LISA", LISAForCausalLM=model)
    return lambda: model.asked


def install_pixellm(patch: pytest.MonkeyPatch, truth: Truth) -> Callable[[], list[str]]:
    """PixelLM's modules: six tokens for a mask, the sequence in a list, and four values come back."""

    class PixelLm(_Llava):
        def evaluate(
            self, seen: Any, pixels: Any, ids: Any, size: Any, *, clip_resize_list: Any, original_size_list: Any,
            max_new_tokens: int, tokenizer: Any,
        ) -> Any:  # fmt: skip
            assert seen.shape == (1, 3, 448, 448) and max(clip_resize_list[0]) == 448
            assert len(self.options["seg_token_idx"]) == self.options["seg_token_num"] * 2 == 6 == len(tokenizer.added)
            words, masks = self.answered(pixels, ids, size, original_size_list)
            return [words], [masks], None, None

    model = PixelLm(truth, "<im_start><im_end>\n", "".join(f"[SEG{place}]" for place in range(6)))
    _llava(patch, "segment_anything")
    put(patch, "chat", preprocess=_padded)
    put(patch, "model.PixelLM", PixelLMForCausalLM=model)
    return lambda: model.asked


def install_glamm(patch: pytest.MonkeyPatch, truth: Truth) -> Callable[[], list[str]]:
    """GLaMM's modules: other names, and a sentence about the image before the first question."""

    class Glamm(_Llava):
        def evaluate(
            self, seen: Any, pixels: Any, ids: Any, size: Any, original: Any, max_tokens_new: int, bboxes: Any
        ) -> Any:
            assert bboxes is None
            words, masks = self.answered(pixels, ids, size, original)
            return words, [masks]

    model = Glamm(truth, "The <im_start><im_end> provides an overview of the picture.\n")
    _llava(patch, "SAM")
    put(patch, "eval.utils", grounding_image_ecoder_preprocess=_padded)
    put(patch, "model.GLaMM", GLaMMForCausalLM=model)
    return lambda: model.asked
