"""Stand-ins for what our drop-in files import of lmms-eval and VLMEvalKit, as small as their interfaces allow.

They mirror lmms-eval 0.7.3 (api/model.py, api/instance.py, api/registry.py, protocol.py, models/chat/vllm.py) and
VLMEvalKit (vlmeval/dataset/image_base.py at 0507265, image_mt.py at 34aca82, inference_mt.py at 087053d).
"""

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

__all__ = ["ROOT", "ChatMessages", "Request", "chat_rounds", "install_lmms_eval", "install_vlmeval", "load_file"]

pd: Any = pytest.importorskip("pandas")
ROOT = Path(__file__).resolve().parents[2] / "integrations"


def load_file(path: Path, name: str) -> ModuleType:
    """The module in a file, under that name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _module(patch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    module = ModuleType(name)
    module.__dict__.update(content)
    module.__path__ = []
    patch.setitem(sys.modules, name, module)


@dataclass
class ChatMessages:
    """Messages of a role and parts, each a text or an image under `url`."""

    messages: Any

    def __post_init__(self) -> None:
        self.messages = [
            SimpleNamespace(role=one["role"], content=[SimpleNamespace(**part) for part in one["content"]])
            for one in self.messages
        ]

    def extract_media(self) -> tuple[list[Any], list[Any], list[Any]]:
        parts = [part for message in self.messages for part in message.content]
        return [part.url for part in parts if part.type == "image"], [], []


@dataclass
class Request:
    """What lmms-eval hands to a chat model: its arguments in their order."""

    args: tuple[Any, ...]


@dataclass
class _Result:
    text: str
    token_counts: Any = None


class _Lmms:
    is_simple = True

    def __init__(self) -> None:
        self.rank, self.task_dict = 0, dict[str, Any]()


def install_lmms_eval(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Puts the stand-ins of lmms-eval in place and gives the models that register."""
    registered: dict[str, Any] = {}

    def register_model(name: str) -> Callable[[Any], Any]:
        return lambda model: registered.setdefault(name, model)

    for name in ("lmms_eval", "lmms_eval.api"):
        _module(patch, name)
    _module(patch, "lmms_eval.api.instance", GenerationResult=_Result)
    _module(patch, "lmms_eval.api.model", lmms=_Lmms)
    _module(patch, "lmms_eval.api.registry", register_model=register_model)
    _module(patch, "lmms_eval.protocol", ChatMessages=ChatMessages)
    return registered


def chat_rounds(doc: Any, doc_to_messages: Callable[..., Any], chat: Callable[[Any], str]) -> list[str]:
    """The loop of lmms-eval's chat models over the rounds of one document."""
    rounds: list[str] = []
    info = None
    messages = doc_to_messages(doc)
    while True:
        rounds.append(chat(ChatMessages(messages)))
        payload = doc_to_messages(doc, round_idx=len(rounds), previous_output=list(rounds), previous_round_info=info)
        messages, ended, _, info = payload
        if ended:
            return rounds


class _ImageBase:
    def __init__(self, dataset: str) -> None:
        self.dataset_name = dataset
        self.data = self.load_data(dataset)
        self.meta_only = "image" not in self.data

    def load_data(self, dataset: str) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.data)

    def build_prompt(self, line: Any) -> list[dict[str, Any]]:
        line = self.data.iloc[line] if isinstance(line, int) else line
        image = {"type": "image", "value": line["image_path"]}
        return [image, {"type": "text", "value": line["question"]}]


class _ImageMT(_ImageBase):
    TYPE = "MT"


@dataclass
class _Smp:
    root: Path
    written: list[str] = field(default_factory=list)

    def dump(self, content: Any, path: str) -> None:
        self.written.append(path)
        if path.endswith(".json"):
            Path(path).write_text(json.dumps(content))
        else:
            content.to_csv(path, sep="\t", index=False)


def install_vlmeval(patch: pytest.MonkeyPatch, root: Path) -> ModuleType:
    """Puts the stand-ins of VLMEvalKit in place, LMUData at `root`, and gives our module as it lies there."""
    smp = _Smp(root)
    for name in ("vlmeval", "vlmeval.dataset"):
        _module(patch, name)

    def load(path: str) -> Any:
        return pd.read_csv(path, sep="\t")

    _module(patch, "vlmeval.smp", LMUDataRoot=lambda: str(root), dump=smp.dump, load=load)
    _module(patch, "vlmeval.dataset.image_base", ImageBaseDataset=_ImageBase)
    _module(patch, "vlmeval.dataset.image_mt", ImageMTDataset=_ImageMT)
    patch.setitem(sys.modules, "vlmeval.dataset.miras_cases", ModuleType("gone"))
    return load_file(ROOT / "vlmevalkit" / "miras_cases.py", "vlmeval.dataset.miras_cases")
