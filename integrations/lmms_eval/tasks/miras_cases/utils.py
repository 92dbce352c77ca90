"""Files of MIRAS cases as lmms-eval tasks: what is asked, and what is made of the replies.

A model that marks writes its masks behind its text, as COCO run lengths of the original image::

    It is the left one.<masks>[{"mask": {"size": [480, 640], "counts": "..."}, "phrase": "", "score": 0.9}]</masks>

Without that, a reply is text alone and marks nothing. Nothing here imports miras.
"""

import json
import os
import re

import numpy as np
from PIL import Image, ImageOps
from pycocotools import mask as coco

_MASKS = re.compile(r"<masks>(.*?)</masks>", re.DOTALL)
_TOKENS = re.compile(r"\[(?:OBJ|SEG\d*)\]")


def docs(dataset):
    """The cases without the line before them, each with the folder of images that this line names."""
    first = json.loads(dataset[0]["text"])
    if first.get("format") != "miras-cases":
        raise ValueError(f"miras_cases.jsonl should be written by `miras evaluate cases`, it begins with {first!r:.80}")
    return dataset.select(range(1, len(dataset))).add_column("images", [first.get("images")] * (len(dataset) - 1))


def doc_to_visual(doc):
    """The image, upright; none where the case has none."""
    image = json.loads(doc["text"])["image"]
    if image is None or doc["images"] is None:
        return []
    with Image.open(os.path.join(doc["images"], image)) as opened:
        return [ImageOps.exif_transpose(opened).convert("RGB")]


def doc_to_text(
    doc,
    lmms_eval_specific_kwargs=None,
    round_idx=None,
    previous_output=None,
    previous_round_info=None,
):
    """The first question; with a round, lmms-eval's five values for the next one, what was said before written out."""
    asked = _questions(doc)
    if round_idx is None:
        return asked[0]
    said = [parted(text)[0] for text in previous_output or []]
    if round_idx >= len(asked):
        return None, None, True, list(previous_output), previous_round_info
    talk = "".join(f"USER: {q}\nASSISTANT: {a}\n" for q, a in zip(asked, said, strict=False))
    return doc_to_visual(doc), f"{talk}USER: {asked[round_idx]}", False, list(previous_output), previous_round_info


def doc_to_messages(doc, round_idx=None, previous_output=None, previous_round_info=None):
    """The whole conversation up to the next question; with a round, lmms-eval's four values."""
    asked = _questions(doc)
    if round_idx is not None and round_idx >= len(asked):
        return None, True, previous_output, previous_round_info
    image = [{"type": "image", "url": one} for one in doc_to_visual(doc)]
    messages = [{"role": "user", "content": [*image, {"type": "text", "text": asked[0]}]}]
    for question, reply in zip(asked[1:], previous_output or [], strict=False):
        messages.append({"role": "assistant", "content": [{"type": "text", "text": parted(reply)[0]}]})
        messages.append({"role": "user", "content": [{"type": "text", "text": question}]})
    return messages if round_idx is None else (messages, False, previous_output, previous_round_info)


def doc_to_target(doc):
    """The true answer to the last question."""
    return json.loads(doc["text"])["turns"][-1]["answer"]


def process_results(doc, results):
    """What each metric needs of one case: pixels of every known mask, texts of every turn that marks nothing."""
    case = json.loads(doc["text"])
    rounds = results[0] if results and isinstance(results[0], list) else list(results)
    rounds = [*rounds, *[""] * (len(case["turns"]) - len(rounds))]
    parts = [parted(str(text)) for text in rounds]
    pixels, texts, turns = [], [], []
    for turn, (said, marks) in zip(case["turns"], parts, strict=True):
        turns.append({"text": said, "masks": marks})
        if not turn["targets"]:
            texts.append((_TOKENS.sub("", said).strip(), turn["answer"]))
        for place, target in enumerate(turn["targets"]):
            if target["mask"] is not None:
                pixels.append(_pixels(marks[place]["mask"] if place < len(marks) else None, target))
    line = {"id": case["id"], "turns": turns}
    return {"miras_giou": pixels, "miras_ciou": pixels, "miras_bleu": texts, "miras_answered": line}


def giou(results):
    """Mean IoU over targets; None where no true mask is known."""
    all_pixels = [one for case in results for one in case]
    return float(np.mean([both / either if either else 1.0 for both, either in all_pixels])) if all_pixels else None


def ciou(results):
    """Pixels of all targets added, divided once; None where no true mask is known."""
    both, either = (sum(one[side] for case in results for one in case) for side in (0, 1))
    return both / either if either else None


def bleu(results):
    """Corpus BLEU of the answers that mark nothing, by sacrebleu's defaults; None where there are none."""
    pairs = [pair for case in results for pair in case]
    if not pairs:
        return None
    from sacrebleu import corpus_bleu

    return float(corpus_bleu([said for said, _ in pairs], [[true for _, true in pairs]]).score)


def answered(results):
    """How many cases were answered. Where MIRAS_PREDICTIONS names a file, the answers are written there for scoring."""
    out = os.environ.get("MIRAS_PREDICTIONS")
    if out:
        model = os.environ.get("MIRAS_MODEL", "a model run by lmms-eval")
        first = {"format": "miras-predictions", "version": 1, "model": model, "history": "own"}
        with open(f"{out}.part", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in [first, *results])
        os.replace(f"{out}.part", out)
    return len(results)


def parted(reply):
    """The text of a reply without its masks, and the masks; a block that cannot be read marks nothing."""
    marks = []
    for block in _MASKS.findall(reply):
        try:
            marks += [one for one in json.loads(block) if _is_whole(one["mask"])]
        except (ValueError, TypeError, KeyError, AttributeError, MemoryError):
            continue
    return _MASKS.sub("", reply).strip(), marks


def _questions(doc):
    return [turn["question"] for turn in json.loads(doc["text"])["turns"]]


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
