"""Stand-ins for what the recipes of docs/peers.md import: each answers from a table and marks what it says.

They mirror the repositories at the commits that the page names: what goes in, what comes back and in which order.
"""

import sys
from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

__all__ = ["Letters", "Truth", "common", "install_omg_llava", "install_sa2va", "put"]

Truth = dict[str, tuple[str, np.ndarray]]
"""Question → what is said, with {seg} where it marks, and the (H, W) bool mask."""
_SPECIAL = ["[SEG]", *(f"[SEG{place}]" for place in range(6)), "<im_start>", "<im_end>", "</s>", "<|im_end|>"]


class Letters:
    """A tokenizer of letters; special tokens have ids from 200,000 on."""

    unk_token = pad_token = "<unk>"
    eos_token_id, bos_token_id, pad_token_id = 2, 1, 0
    added: Sequence[str] = ()

    @classmethod
    def from_pretrained(cls, *_: Any, **__: Any) -> "Letters":
        return cls()

    def add_tokens(self, tokens: Sequence[str]) -> None:
        self.added = tokens

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        if isinstance(tokens, str):
            return 200_000 + _SPECIAL.index(tokens)
        return [self.convert_tokens_to_ids(token) for token in tokens]

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        ids = [1] if add_special_tokens else []
        while text:
            token = next((token for token in _SPECIAL if text.startswith(token)), text[0])
            ids.append(self.convert_tokens_to_ids(token) if token in _SPECIAL else ord(token))
            text = text[len(token) :]
        return ids

    def decode(self, ids: Any) -> str:
        letters = [int(one) for one in ids if int(one) not in (-200, 1)]
        return "".join(_SPECIAL[one - 200_000] if one >= 200_000 else chr(one) for one in letters)


def put(patch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    for place in range(1, name.count(".") + 2):
        part = ".".join(name.split(".")[:place])
        if part not in sys.modules or not hasattr(sys.modules[part], "stand_in"):
            module = ModuleType(part)
            module.__path__, module.stand_in = [], True  # type: ignore[attr-defined]
            patch.setitem(sys.modules, part, module)
    sys.modules[name].__dict__.update(content)


def common(patch: pytest.MonkeyPatch, **transformers: Any) -> None:
    """A GPU that is none, OpenCV's two functions, and the names taken from transformers."""
    for kind in (torch.Tensor, torch.nn.Module):
        patch.setattr(kind, "cuda", lambda self, *_, **__: self)
    put(
        patch,
        "cv2",
        COLOR_BGR2RGB=4,
        imread=lambda path: np.asarray(Image.open(path).convert("RGB"))[..., ::-1],
        cvtColor=lambda image, _: image[..., ::-1].copy(),
    )
    put(patch, "transformers", AutoTokenizer=Letters, **transformers)


def install_sa2va(patch: pytest.MonkeyPatch, truth: Truth) -> Callable[[], list[str]]:
    """Sa2VA's model: the text of one turn with the image in it, masks as (1, H, W) arrays."""
    asked: list[str] = []

    class Sa2va:
        @classmethod
        def from_pretrained(cls, *_: Any, **options: Any) -> "Sa2va":
            assert options["trust_remote_code"]
            return cls()

        def eval(self) -> "Sa2va":
            return self

        cuda = eval

        def predict_forward(self, image: Any, text: str, tokenizer: Any, past_text: str = "") -> dict[str, Any]:
            assert text.startswith("<image>\n") and not past_text
            asked.append(text)
            said, mask = truth[text.removeprefix("<image>\n").rpartition("<|im_start|>user\n")[2]]
            assert image.size == mask.shape[::-1]
            whole = [np.ones((1, *mask.shape), dtype=bool)] * text.count("[SEG]")
            prediction = said.format(seg="[SEG]") + "<|im_end|>"
            return {"prediction": prediction, "prediction_masks": [*whole, *[mask[None]] * said.count("{seg}")]}

    common(patch, AutoModel=Sa2va, AutoProcessor=None)
    return lambda: asked


class _Omg:
    """OMG-LLaVA: hidden states of the new tokens, and masks in the square that the image was padded to."""

    seg_token_idx = 200_000

    def __init__(self, truth: Truth) -> None:
        self.truth, self.asked, self.said = truth, list[str](), ("", np.zeros((1, 1), dtype=bool))
        self.tokenizer, self.llm, self.loaded = Letters(), self, list[str]()
        self.visual_encoder = SimpleNamespace(dtype=torch.float32, forward_llm_seg=self.mark)

        def encode(pixels: Any, output_hidden_states: bool) -> Any:
            return pixels

        patch: Any = type("Encoder", (), {"__call__": staticmethod(encode), **vars(self.visual_encoder)})
        self.visual_encoder, self.projector = patch(), lambda seen: seen
        self.projector_text2vision = lambda states: states

    def cuda(self) -> "_Omg":
        return self

    eval = cuda

    def load_state_dict(self, state: str, strict: bool) -> None:
        self.loaded.append(state)

    def generate(self, input_ids: Any, pixel_values: Any, **told: Any) -> Any:
        assert told["output_hidden_states"] and told["return_dict_in_generate"] and input_ids[0].eq(-200).sum() == 1
        prompt = self.tokenizer.decode(input_ids[0])
        self.asked.append(prompt)
        question = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0].strip()
        self.said = self.truth[question]
        new = self.tokenizer.encode(self.said[0].format(seg="[SEG]") + "<|im_end|>", False)
        first = torch.full((1, input_ids.shape[1], 1), -1.0)
        steps = [(first,), *((torch.full((1, 1, 1), float(token)),) for token in new[:-1])]
        return SimpleNamespace(sequences=torch.tensor([new]), hidden_states=steps)

    def mark(self, states: Any, rows: Any) -> Any:
        assert states.eq(self.seg_token_idx).all() and len(states) == len(rows)
        mask = self.said[1]
        height, width = mask.shape
        side = max(mask.shape)
        square = torch.full((len(states), 1, side, side), -1.0)
        top, left = (side - height) // 2, (side - width) // 2
        square[:, 0, top : top + height, left : left + width] = torch.from_numpy(mask * 2.0 - 1)
        return [None, square]


def install_omg_llava(patch: pytest.MonkeyPatch, truth: Truth) -> Callable[[], list[str]]:
    """OMG-LLaVA's modules and those of xtuner and mmengine that it stands on."""
    model = _Omg(truth)

    def expanded(image: Any, colour: tuple[int, ...]) -> Any:
        square = Image.new("RGB", (max(image.size),) * 2, colour)
        square.paste(image, ((square.width - image.width) // 2, (square.height - image.height) // 2))
        return square

    def processor(**settings: Any) -> Any:
        def preprocess(image: Any, return_tensors: str) -> dict[str, torch.Tensor]:
            assert image.width == image.height
            return {"pixel_values": torch.zeros(1, 3, settings["size"], settings["size"])}

        return SimpleNamespace(image_mean=(0.5, 0.5, 0.5), preprocess=preprocess)

    class Config(dict):
        model: Any = SimpleNamespace(pretrained_pth="left out")
        image_processor: Any = {"type": processor, "size": 64}  # noqa: RUF012

        @classmethod
        def fromfile(cls, _: str) -> "Config":
            return cls()

    words = {"INSTRUCTION": "<|im_start|>user\n{input}<|im_end|>\n<|im_start|>assistant\n", "SUFFIX": "<|im_end|>"}
    common(patch, GenerationConfig=lambda **settings: settings)
    put(patch, "mmengine.config", Config=Config)
    put(patch, "omg_llava.dataset.utils", expand2square=expanded)
    put(patch, "xtuner.model.utils", guess_load_checkpoint=str, prepare_inputs_labels_for_multimodal=_without_llm)
    put(patch, "xtuner.registry", BUILDER=SimpleNamespace(build=lambda _: model))
    put(patch, "xtuner.tools.utils", get_stop_criteria=lambda tokenizer, stop_words: stop_words)
    template = {"internlm2_chat": {**words, "SEP": "\n", "STOP_WORDS": ["<|im_end|>"]}}
    put(patch, "xtuner.utils", DEFAULT_IMAGE_TOKEN="<image>", IMAGE_TOKEN_INDEX=-200, PROMPT_TEMPLATE=template)
    return lambda: model.asked


def _without_llm(llm: Any, input_ids: Any, pixel_values: Any) -> dict[str, Any]:
    return {"input_ids": input_ids, "pixel_values": pixel_values}
