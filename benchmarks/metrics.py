"""Scoring of masks from run lengths, over torchmetrics with the same metrics and over pycocotools' IoU.

    python benchmarks/metrics.py [--targets 5000] [--side 1024] [--subset 200] [--photos ../shared/data/photos]

The true masks are those of the photos' validation split, brought to `side` pixels; where the folder is absent they are
drawn. The predicted ones are the truth moved, grown or thinned, or another mask; some are empty or missing. Our side
counts all targets and computes every figure but boundary IoU. torchmetrics gets masks that pycocotools decodes, and
gives IoU, precision, recall and F1, over all pixels and per target, and Prec@X; since it takes long it is timed on
`subset` of the same targets, and times per target are compared. pycocotools gives the IoU of each pair that has two
masks. All sides' figures must agree. Ours and pycocotools are timed by turns in a fresh process; memory is what scoring
all targets, read one by one, adds to it.
Boundary IoU is timed apart, over pycocotools' decoding and scipy's erosion. The last line is one line of JSON.
"""

import argparse
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from miras.data.masks import decode, encode
from miras.metrics.boundary import boundary_width, count_boundaries
from miras.metrics.masks import THRESHOLDS, MaskSums, count_all
from miras.metrics.overlap import Pair
from miras.types import Rle

__all__ = ["main", "pairs_of", "score", "with_pycocotools", "with_torchmetrics"]

_CLOSE = 1e-6
"""How far figures of two sides may be apart; torchmetrics computes in 32 bits."""


def _truths(photos: Path, count: int, side: int, rng: np.random.Generator) -> list[np.ndarray]:
    """(side, side) bool masks, of the photos where there are some."""
    rows = photos / "val.jsonl.gz"
    if rows.is_file():
        with gzip.open(rows, "rt", encoding="utf-8") as lines:
            masks = [decode(json.loads(line)["mask"]) for line in lines]
        chosen = [masks[place] for place in rng.permutation(len(masks))[:count]]
        return [np.asarray(Image.fromarray(mask).resize((side, side), Image.Resampling.NEAREST)) for mask in chosen]
    return [_drawn(side, rng) for _ in range(min(count, 500))]


def _drawn(side: int, rng: np.random.Generator) -> np.ndarray:
    """An ellipse or a polygon with a hole."""
    picture = Image.new("1", (side, side))
    pen = ImageDraw.Draw(picture)
    (x, y), radius = rng.uniform(0.2, 0.8, 2) * side, rng.uniform(0.02, 0.4) * side
    if rng.random() < 0.5:
        turns = np.sort(rng.uniform(0, 2 * np.pi, 12))
        reach = radius * rng.uniform(0.5, 1, 12)
        pen.polygon([*zip(x + reach * np.cos(turns), y + reach * np.sin(turns), strict=True)], fill=1)
    else:
        pen.ellipse((x - radius, y - radius / 2, x + radius, y + radius / 2), fill=1)
    pen.ellipse((x - radius / 5, y - radius / 5, x + radius / 5, y + radius / 5), fill=0)
    return np.asarray(picture)


def _moved(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The mask moved, nothing coming in at the other side."""
    moved = np.zeros_like(mask)
    height, width = mask.shape
    moved[max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)] = mask[
        max(-rows, 0) : height - max(rows, 0), max(-columns, 0) : width - max(columns, 0)
    ]
    return moved


def pairs_of(photos: Path, count: int, side: int) -> list[Pair]:
    """Pairs of a predicted and a true mask, the same every time."""
    rng = np.random.default_rng(0)
    truths = _truths(photos, count, side, rng)
    written = [encode(mask) for mask in truths]
    pairs: list[Pair] = []
    for place in range(count):
        mask, target = truths[place % len(truths)], written[place % len(truths)]
        kind = rng.random()
        rows, columns = (int(step) for step in rng.integers(-side // 40, side // 40 + 1, 2))
        moved = _moved(mask, rows, columns)
        predicted: Rle | None
        if kind < 0.02:
            predicted = None
        elif kind < 0.04:
            predicted = encode(np.zeros_like(mask))
        elif kind < 0.15:
            predicted = written[int(rng.integers(len(written)))]
        else:
            predicted = encode(moved if kind < 0.5 else mask & moved if kind < 0.75 else mask | moved)
        pairs.append((predicted, target))
    return pairs


def score(pairs: Sequence[Pair] | Iterator[Pair]) -> dict[str, Any]:
    """Every figure of the pairs, from run lengths."""
    return MaskSums.of_pairs(pairs).compute()


def with_pycocotools(pairs: Sequence[Pair]) -> list[float]:
    """The IoU of each pair that has two masks."""
    return [float(coco.iou([one], [two], [0])[0, 0]) for one, two in pairs if one is not None]


def with_torchmetrics(pairs: Sequence[Pair]) -> dict[str, Any]:
    """The same figures as `score`, under the same names, by torchmetrics from decoded masks."""
    import torch
    from torchmetrics import Metric, MetricCollection
    from torchmetrics import classification as whole
    from torchmetrics.functional import classification as single

    names: dict[str, type[Metric]] = {"ciou": whole.BinaryJaccardIndex, "precision_micro": whole.BinaryPrecision}
    names |= {"recall_micro": whole.BinaryRecall, "f1_micro": whole.BinaryF1Score}
    micro = MetricCollection({name: metric(validate_args=False) for name, metric in names.items()})
    peers: dict[str, Callable[..., torch.Tensor]] = {
        "giou": single.binary_jaccard_index,
        "precision_macro": single.binary_precision,
        "recall_macro": single.binary_recall,
        "f1_macro": single.binary_f1_score,
    }
    each: dict[str, list[float]] = {name: [] for name in peers}
    for one, two in pairs:
        target = torch.from_numpy(coco.decode(two))
        predicted = torch.zeros_like(target) if one is None else torch.from_numpy(coco.decode(one))
        micro.update(predicted, target)
        nothing = 0 if target.any() else int(not predicted.any())
        for name, peer in peers.items():
            each[name].append(float(peer(predicted, target, validate_args=False, zero_division=nothing)))
    figures = {name: statistics.fmean(values) for name, values in each.items()}
    figures |= {name: float(value) for name, value in micro.compute().items()}
    hits = {str(x): statistics.fmean(iou >= x - 1e-6 for iou in each["giou"]) for x in THRESHOLDS}
    return {**figures, "prec_at": hits}


def _boundaries_with_scipy(pairs: Sequence[Pair]) -> list[float]:
    """Boundary IoU of each pair that has two masks, by erosion step by step."""
    from scipy.ndimage import binary_erosion

    values = []
    for one, two in pairs:
        if one is not None:
            masks = [coco.decode(rle).astype(bool) for rle in (one, two)]
            steps = boundary_width(*masks[0].shape)
            first, second = (
                mask & ~binary_erosion(np.pad(mask, 1), np.ones((3, 3)), iterations=steps)[1:-1, 1:-1] for mask in masks
            )
            either = np.count_nonzero(first | second)
            values.append(np.count_nonzero(first & second) / either if either else 1.0)
    return values


def _agree(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for name, value in theirs.items():
        if isinstance(value, dict):
            _agree(ours[name], value)
        else:
            assert abs(ours[name] - value) < _CLOSE, f"{name}: {ours[name]} here, {value} there"


def _seconds(made: Callable[[Sequence[Pair]], Any], pairs: Sequence[Pair], result: list[Any]) -> float:
    started = time.perf_counter()
    result[:] = [made(pairs)]
    return time.perf_counter() - started


def _alone(path: Path, rounds: int) -> dict[str, Any]:
    """What is measured in a process that has done nothing else: memory, then the times of both sides by turns."""

    def read() -> Iterator[Pair]:
        with path.open(encoding="utf-8") as lines:
            yield from (tuple(json.loads(line)) for line in lines)  # type: ignore[misc]

    start = psutil.Process().memory_info().rss  # everything needed is already imported
    score(read())
    status = Path("/proc/self/status").read_text(encoding="ascii")  # what getrusage says is handed on by the parent
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    pairs, ours, theirs = list(read()), list[Any](), list[Any]()
    times = [(_seconds(score, pairs, ours), _seconds(with_pycocotools, pairs, theirs)) for _ in range(rounds)]
    here, pycocotools = (statistics.median(side) / len(pairs) for side in zip(*times, strict=True))
    two_masks = [one.iou for one, pair in zip(count_all(pairs), pairs, strict=True) if pair[0] is not None]
    assert np.allclose(theirs[0], two_masks, rtol=0, atol=1e-12), "pycocotools has other IoUs"
    return {"extra_mb": round((peak - start) / 1e6, 1), "ours": here, "pycocotools": pycocotools}


def _in_a_fresh_process(pairs: Sequence[Pair], rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.jsonl"
        path.write_text("".join(f"{json.dumps(pair)}\n" for pair in pairs), encoding="utf-8")
        command = [sys.executable, str(Path(__file__).resolve()), "--alone", str(path), "--rounds", str(rounds)]
        return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--targets", type=int, default=5000)
    parser.add_argument("--side", type=int, default=1024, help="pixels")
    parser.add_argument("--subset", type=int, default=200, help="targets that torchmetrics is timed on")
    parser.add_argument("--rounds", type=int, default=5, help="of ours and pycocotools' by turns; medians are compared")
    parser.add_argument("--photos", type=Path, default=Path("../shared/data/photos"))
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.alone:
        print(json.dumps(_alone(given.alone, given.rounds)))
        return
    pairs = pairs_of(given.photos, given.targets, given.side)
    subset = pairs[: given.subset]
    alone = _in_a_fresh_process(pairs, given.rounds)
    here, pycocotools = alone["ours"], alone["pycocotools"]
    ours, theirs = list[Any](), list[Any]()
    torchmetrics = _seconds(with_torchmetrics, subset, theirs) / len(subset)
    _agree(score(subset), theirs[0])
    fewer = subset[: max(1, len(subset) // 10)]
    boundary = _seconds(count_boundaries, subset, ours) / len(subset)
    with_scipy = _seconds(_boundaries_with_scipy, fewer, theirs) / len(fewer)
    counted = count_boundaries([pair for pair in fewer if pair[0] is not None])
    assert np.allclose(theirs[0], [one.iou for one in counted]), "scipy has other boundary IoUs"
    letters = statistics.fmean(len(rle["counts"]) for pair in pairs for rle in pair if rle is not None)
    masks = "photos" if (given.photos / "val.jsonl.gz").is_file() else "drawn"
    print(f"{len(pairs)} targets at {given.side} x {given.side}, masks {masks}, {letters:.0f} letters each on average")
    print("microseconds per target, decoding included")
    print(f"{here * 1e6:10.1f} ours, median of {given.rounds} rounds")
    print(f"{pycocotools * 1e6:10.1f} pycocotools, IoU alone, median of {given.rounds} rounds")
    print(f"{torchmetrics * 1e6:10.1f} torchmetrics, on {len(subset)} of them")
    print(f"{boundary * 1e6:10.1f} boundary IoU, ours, on {len(subset)} of them")
    print(f"{with_scipy * 1e6:10.1f} boundary IoU, scipy, on {len(fewer)} of them")
    result = {
        "benchmark": "metrics", "ratio": round(torchmetrics / here, 2), "peer": "torchmetrics, the same metrics",
        "ratio_pycocotools": round(pycocotools / here, 3), "extra_mb": alone["extra_mb"],
        "ours_us": round(here * 1e6, 1), "pycocotools_us": round(pycocotools * 1e6, 1),
        "torchmetrics_us": round(torchmetrics * 1e6, 1), "boundary_us": round(boundary * 1e6, 1),
        "boundary_scipy_us": round(with_scipy * 1e6, 1), "targets": len(pairs), "side": given.side,
        "subset": len(subset), "masks": masks,
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
