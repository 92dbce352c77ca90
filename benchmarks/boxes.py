"""How good masks made of boxes can be: true boxes of photos as they are, and through nano's decoder.

    python benchmarks/boxes.py ../shared/data/photos [--targets 100]

Stands for a general model that is never wrong: its boxes are those of the true masks. Its words are the true phrase, or
the bare name of the class, which is nearer to what such models write beside a box. Prints gIoU by size of target and,
as its last line, one line of JSON.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from miras import Miras
from miras.data.masks import box, decode
from miras.data.photos import load_photos
from miras.evaluate.baselines.decoder import Decoder
from miras.evaluate.baselines.masks import fill
from miras.llm.store import Store
from miras.metrics.masks import mask_iou

__all__ = ["main"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of annotated photos")
    parser.add_argument("--targets", type=int, default=100, help="so many targets, drawn by seed 0")
    told = parser.parse_args()
    nano = Miras.from_pretrained("nano", merge_lora=True).eval()
    targets = [(photo, target) for photo in load_photos(told.data, "val") for target in photo.objects]
    chosen = np.random.default_rng(0).permutation(len(targets))[: told.targets]
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with TemporaryDirectory() as folder, Store(Path(folder) / "run.sqlite") as store:
        decoder = Decoder(nano, "nano", store)
        for photo, target in (targets[index] for index in chosen):
            true = decode(target.mask)
            corners = box(true)
            assert corners is not None
            filled = fill(corners, true.shape)
            assert filled is not None
            for way, mask in {
                "boxes as they are": filled,
                "nano inside the box, true phrase": decoder.mask(photo.path, target.phrase, filled),
                "nano inside the box, class name": decoder.mask(photo.path, target.class_name, filled),
                "nano alone, true phrase": decoder.mask(photo.path, target.phrase, np.ones_like(filled)),
            }.items():
                # a box stays as it is where nano marks nothing in it
                score = mask_iou(filled if mask is None and "inside" in way else mask, true)
                scores[way]["all"].append(score)
                scores[way][target.size].append(score)
    means = {way: {size: round(float(np.mean(one)), 3) for size, one in sizes.items()} for way, sizes in scores.items()}
    counts = {size: len(one) for size, one in scores["boxes as they are"].items()}
    for way, sizes in means.items():
        print(f"{way}: " + ", ".join(f"{size} {value}" for size, value in sizes.items()))
    print(json.dumps({"targets": counts, "giou": means}))


if __name__ == "__main__":
    main()
