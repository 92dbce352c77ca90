"""Answers of a model of ours to a file of cases, in a run that can be killed, gone on with and cut over processes."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console

from miras.data.images import blank_image
from miras.errors import DataError
from miras.evaluate.cases import Case, Cases
from miras.evaluate.parts import Parts, Share, adopt_cases
from miras.evaluate.predict import AskMany, Chat, Task, predict
from miras.evaluate.predictions import History
from miras.evaluate.runs import PREDICTIONS
from miras.provenance import told_command, versions, weights_hash
from miras.types import Prediction

__all__ = ["Show", "answer", "run_predict", "show_images"]

Show = Callable[[Case], tuple[Path | np.ndarray, str]]
"""What is shown for a case, and a name: cases with one name share one encoding."""

_UNSEEN = (480, 640)
"""(height, width) of the blank image for a case whose own size nobody knows, in pixels."""


def run_predict(
    cases: Path,
    out: Path,
    model: str = "nano",
    *,
    history: History = "own",
    images: Path | None = None,
    blank: bool = False,
    setting: str | None = None,
    batch_size: int = 16,
    decode: Literal["int8", "float"] = "float",
    share: Share | None = None,
) -> None:
    """Answer a file of cases with a model by name or folder, into a run folder; started again, answer what is left.

    Under torchrun each process answers its `share`, on a GPU of its own where there are any. `images` is the folder of
    images where it is another than the file names; with `blank` every image is replaced by one without content.
    Raises ConfigError when the folder holds a run on other cases, by another model or after another history, and
    DataError when an image is missing.
    """
    asked = adopt_cases(cases, out)
    show = show_images(asked, images, blank=blank)

    from miras import Miras  # the model and its libraries load only when there is something to ask
    from miras.model.session import ask_many

    chat = Miras.from_pretrained(model, merge_lora=True, decode=decode)
    _to_own_device(chat)
    about = {
        "model": model,
        "weights_sha256": weights_hash(chat),
        "history": history,
        "setting": setting,
        "images": "blank" if blank else "photos",
        "cases_sha256": asked.sha256,
        **({"decode": decode} if decode != "float" else {}),
    }
    missing = answer(
        chat, asked, out, about, show, ask_many=ask_many, history=history, batch_size=batch_size, share=share
    )
    ended = f"{missing} cases are left to other processes" if missing else f"answers in {out / PREDICTIONS}"
    Console(stderr=True).print(ended, highlight=False)


def answer(
    chat: Chat,
    cases: Cases,
    out: Path,
    about: Mapping[str, Any],
    show: Show,
    *,
    ask_many: AskMany,
    history: History = "own",
    batch_size: int = 16,
    share: Share | None = None,
) -> int:
    """Answer this process's share of what nobody has answered yet, each answer kept at once; gives how many are left.

    Once none is left the file of predictions is written; `about` is its first line.
    """
    parts, share = Parts(out), share or Share.from_environment()
    with parts.writing(share, about) as keep:
        mine = parts.left(cases, share)
        # Neighbours share an image, or at least a length, so that they are encoded and answered together.
        mine.sort(key=lambda case: (str(case.image), len(case.dialogue.questions)))
        tasks = [Task("cases", place, case.dialogue, *show(case)) for place, case in enumerate(mine)]
        for task, replies in predict(chat, tasks, ask_many=ask_many, history=history, batch_size=batch_size):
            keep(Prediction(mine[task.index].id, replies))
    return parts.bring_together(cases, {**about, "command": told_command(), "versions": versions()})


def show_images(cases: Cases, images: Path | None, *, blank: bool = False) -> Show:
    """Shows each case its image, or one without content. Raises DataError when an image is not there."""
    if blank:
        return _blank
    found: dict[str, Path] = {}
    for case in cases:
        path = cases.image_path(case, images)
        if path is None:
            raise DataError(f"case {case.id!r} has no image; name their folder, or ask about a blank image")
        if not path.is_file():
            raise DataError(f"case {case.id!r}: no image at {path}; name the folder that holds the images")
        found[case.id] = path
    return lambda case: (found[case.id], str(found[case.id]))


def _blank(case: Case) -> tuple[np.ndarray, str]:
    height, width = case.size or _UNSEEN
    return blank_image(height, width), f"blank {height}x{width}"


def _to_own_device(chat: Any) -> None:
    """Each process on a GPU of its own, where there are any."""
    import torch

    if torch.cuda.is_available():
        chat.to(f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}")
