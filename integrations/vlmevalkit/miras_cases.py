"""Files of MIRAS cases as VLMEvalKit datasets: one question at a time, or whole dialogues.

Copy this file to vlmeval/dataset/miras_cases.py, and in vlmeval/dataset/__init__.py import both classes and add them to
IMAGE_DATASET. Put a file that `miras evaluate cases` wrote into the folder LMUData under the name of the dataset, as
MIRAS_Direct.jsonl or MIRAS_Dialogues.jsonl.

A model that marks writes its masks behind its text, as COCO run lengths of the original image::

    It is the left one.<masks>[{"mask": {"size": [480, 640], "counts": "..."}, "phrase": "", "score": 0.9}]</masks>

Without that, a reply is text alone and marks nothing. Nothing here imports miras.
"""

import json
import os
import os.path as osp
import re

import numpy as np
import pandas as pd
from pycocotools import mask as coco
from vlmeval.smp import LMUDataRoot, dump, load

from .image_base import ImageBaseDataset
from .image_mt import ImageMTDataset

_MASKS = re.compile(r"<masks>(.*?)</masks>", re.DOTALL)


class _Cases:
    """What both share: reading a file of cases, and making figures of the replies."""

    @classmethod
    def supported_datasets(cls):
        return list(cls.NAMES)

    def load_data(self, dataset):
        first, cases = _read(dataset)
        if any(case["image"] is None for case in cases) or not first.get("images"):
            raise ValueError(f"{dataset}.jsonl holds cases without image; write it again with --images")
        return pd.DataFrame(
            {
                "index": range(len(cases)),
                "id": [case["id"] for case in cases],
                "image_path": [osp.join(first["images"], case["image"]) for case in cases],
                "question": [self.asked([turn["question"] for turn in case["turns"]]) for case in cases],
                "answer": [self.asked([turn["answer"] for turn in case["turns"]]) for case in cases],
            }
        )

    def evaluate(self, eval_file, **judge_kwargs):
        """gIoU and cIoU over all targets whose mask is known, and beside the replies a file for `miras evaluate score`.

        A mask that was not marked counts as empty. A figure that nothing was measured for is None.
        """
        rows = load(eval_file)
        rows = {int(row["index"]): row for row in rows.to_dict("records")}
        _, cases = _read(self.dataset_name)
        pixels, lines = [], []
        for place, case in enumerate(cases):
            said = self.replies(rows.get(place, {}), len(case["turns"]))
            parts = [parted(text) for text in said]
            lines.append({"id": case["id"], "turns": [{"text": text, "masks": marks} for text, marks in parts]})
            for turn, (_, marks) in zip(case["turns"], parts, strict=True):
                for number, target in enumerate(turn["targets"]):
                    if target["mask"] is not None:
                        pixels.append(_pixels(marks[number]["mask"] if number < len(marks) else None, target))
        stem = osp.splitext(eval_file)[0]
        model = osp.basename(stem).replace(f"_{self.dataset_name}", "") or "a model run by VLMEvalKit"
        first = {"format": "miras-predictions", "version": 1, "model": model, "history": self.HISTORY}
        with open(f"{stem}_predictions.jsonl.part", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in [first, *lines])
        os.replace(f"{stem}_predictions.jsonl.part", f"{stem}_predictions.jsonl")
        both, either = (sum(one[side] for one in pixels) for side in (0, 1))
        figures = {
            "giou": float(np.mean([hit / all_ if all_ else 1.0 for hit, all_ in pixels])) if pixels else None,
            "ciou": both / either if either else None,
            "n": len(pixels),
        }
        dump(figures, f"{stem}_score.json")
        return figures


class MirasDirect(_Cases, ImageBaseDataset):
    """Cases of one question."""

    TYPE = "VQA"
    NAMES = ("MIRAS_Direct",)
    HISTORY = "none"

    @staticmethod
    def asked(texts):
        if len(texts) != 1:
            raise ValueError(f"a case of {len(texts)} turns; name the file MIRAS_Dialogues.jsonl")
        return texts[0]

    @staticmethod
    def replies(row, turns):
        return [_text(row.get("prediction"))]


class MirasDialogues(_Cases, ImageMTDataset):
    """Cases of several turns. The history is the model's own."""

    NAMES = ("MIRAS_Dialogues",)
    HISTORY = "own"

    @staticmethod
    def asked(texts):
        return str(texts)

    @staticmethod
    def replies(row, turns):
        return [_text(row.get(f"prediction_{turn}")) for turn in range(turns)]

    def build_prompt(self, line):
        """The image before the first question; true answers are left empty, the model's own take their place."""
        if isinstance(line, int):
            line = self.data.iloc[line]
        _, cases = _read(self.dataset_name)
        asked = [turn["question"] for turn in cases[int(line["index"])]["turns"]]
        image = [{"type": "image", "value": line["image_path"]}]
        talk = []
        for place, question in enumerate(asked):
            content = [*(image if place == 0 else []), {"type": "text", "value": question}]
            talk += [
                {"role": "user", "content": content},
                {"role": "assistant", "content": [{"type": "text", "value": ""}]},
            ]
        return talk


def parted(reply):
    """The text of a reply without its masks, and the masks; a block that cannot be read marks nothing."""
    marks = []
    for block in _MASKS.findall(reply):
        try:
            marks += [one for one in json.loads(block) if _is_whole(one["mask"])]
        except (ValueError, TypeError, KeyError, AttributeError, MemoryError):
            continue
    return _MASKS.sub("", reply).strip(), marks


def _read(dataset):
    path = osp.join(LMUDataRoot(), f"{dataset}.jsonl")
    with open(path, encoding="utf-8") as lines:
        first, *cases = map(json.loads, lines)
    if first.get("format") != "miras-cases":
        raise ValueError(f"{path} should be written by `miras evaluate cases`, it begins with {first!r:.80}")
    return first, cases


def _text(value):
    """A cell of a table as text; an empty one is a refusal."""
    return value if isinstance(value, str) else ""


def _is_whole(mask):
    """Whether the runs fill the mask; pycocotools leaves what they do not fill to chance."""
    packed = _packed(mask)
    return coco.encode(np.asfortranarray(coco.decode(packed)))["counts"] == packed["counts"]


def _packed(mask):
    return {"size": [int(side) for side in mask["size"]], "counts": mask["counts"].encode("ascii")}


def _pixels(mask, target):
    """Pixels in both masks and in either, the ignored ones in neither; a mask of another size marks nothing."""
    true = coco.decode(_packed(target["mask"])).astype(bool)
    marked = np.zeros_like(true)
    if mask is not None and list(mask["size"]) == list(target["mask"]["size"]):
        marked = coco.decode(_packed(mask)).astype(bool)
    if target.get("ignore") is not None:
        counted = ~coco.decode(_packed(target["ignore"])).astype(bool)
        true, marked = true & counted, marked & counted
    return int((true & marked).sum()), int((true | marked).sum())
