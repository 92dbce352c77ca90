"""Training steps with everything computed once per image, over the same steps with all of it repeated for each query.

    python benchmarks/train_step.py [--config configs/nano_stage2.yaml] [--rounds 3] [--batches 2] [--threads 0]

A query is one dialogue about an image: a conversation, or a direct request. Theirs is the scheme of LISA's and MIRAS's
published code: each query is a sequence of its own with the image's tokens, both visual encoders are run for each of
them, and every token meets the vocabulary; only the pixel encoder is run once per image. Ours is the step that `miras
train` makes of the same samples: encoders once per image, the image's queries in one row, only what is trained on meets
the vocabulary. A third side is ours with the features of the frozen encoders kept in bf16. The queries are those that
the configuration really draws, taken apart; in a second table they are three direct requests per image, as many as the
authors draw at most. A step is forward, loss, backward, clipping and AdamW with a learning rate of 0, on the weights
that ship where there are some; reading data is not timed, and the loss has no `naming`, which theirs does not know.

Before anything is timed, the gradients of all trained parts must be the same on both sides. Sides are timed by turns,
with one thread in processor time, which other work on the machine does not count in, else by the clock; a ratio is the
median over rounds, with the smallest and the largest. The last line is one line of JSON.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from miras.config import TrainConfig, load_config
from miras.data.collate import Collator
from miras.model.checkpoint import EMBEDDED
from miras.model.features import FrozenEncoders
from miras.model.losses import compute_losses
from miras.model.miras import Miras
from miras.train.batches import Batches, make_batches
from miras.train.sources import Pool
from miras.train.stages import JointText, choose_parts, start_model
from miras.types import Batch, Dialogue, ModelOutput, Sample

__all__ = [
    "SIDES",
    "TOLERANCE",
    "apart",
    "by_query",
    "difference",
    "gradients",
    "main",
    "measure",
    "once",
    "with_features",
]

TOLERANCE = 1e-3
"""How far gradients may be apart, as a share of the norm of their part's."""

SIDES = ("theirs", "ours", "cached")

Figures = dict[str, Any]
Forward = Callable[[Miras, Batch], ModelOutput]
Gradients = dict[str, Tensor]
Parts = dict[str, list[nn.Parameter]]

_CONFIG = Path(__file__).resolve().parents[1] / "configs" / "nano_stage2.yaml"


def once(model: Miras, batch: Batch) -> ModelOutput:
    """One pass as training makes it."""
    return JointText().run(model, batch, np.random.default_rng(0))


def by_query(model: Miras, batch: Batch) -> ModelOutput:
    """One pass over a batch of unpacked rows that runs the visual encoders for each row, as if each had its own image.

    The pixel encoder is run once per image, on the maps of that image's first row.
    """
    image = batch.dialogue_image
    seen = model.see(batch.low[image], batch.high[image], batch.content[image])
    embeddings = model.embed(batch.input_ids, seen.tokens, batch.cells[image], torch.arange(len(image)))
    states = model.language.states(embeddings, batch.attention_mask)  # (B, T, D)
    logits = model.language.logits(states[:, :-1]).flatten(0, 1)  # as in transformers, also where nothing is trained
    queries = model.queries(states, batch.seg_row, batch.obj_span)
    first = torch.searchsorted(image, torch.arange(len(batch.high)))
    mask_logits, iou = model.mark_batch(queries, batch, tuple(maps[first] for maps in seen.maps))
    return ModelOutput(logits, batch.labels[:, 1:].flatten(), mask_logits, iou)


def with_features(model: Miras, batch: Batch, dtype: torch.dtype = torch.bfloat16) -> Batch:
    """The batch with what frozen encoders make of its images instead of their views."""
    features = {name: each.to(dtype) for name, each in FrozenEncoders(model, tokens=True).look(batch).items()}
    none = torch.zeros(len(batch.high), 3, 0, 0)
    made = {name: value for name, value in vars(batch).items() if name not in ("marked", "dialogue_row", "positions")}
    return Batch(**made | {"low": none, "high": none, "pixel": None, "features": features})


@contextmanager
def _noting(pools: Sequence[Pool]) -> Iterator[list[Dialogue | None]]:
    """Notes which conversation the direct requests of each sample are added to."""
    noted: list[Dialogue | None] = []

    def requests(pool: Pool) -> Callable[..., Dialogue]:
        def note(photo: Any, rng: np.random.Generator, first: Dialogue | None = None) -> Dialogue:
            noted.append(first)
            return Pool.requests(pool, photo, rng, first)

        return note

    for pool in pools:
        vars(pool)["requests"] = requests(pool)
    try:
        yield noted
    finally:
        for pool in pools:
            del vars(pool)["requests"]


def apart(batches: Batches, number: int) -> list[Sample]:
    """The samples of a batch with each of their queries as a dialogue of its own."""
    sources: list[Any] = list(batches.sources)
    with _noting(list({id(source.pool): source.pool for source in sources}.values())) as noted:
        samples = batches.samples(number)
    return [
        replace(sample, dialogues=_queries(sample.dialogues[0], first))
        for sample, first in zip(samples, noted, strict=True)
    ]


def _drawn(batches: Batches, queries: int | None) -> Iterator[list[Sample]]:
    """The samples of each batch; with `queries`, only those with so many, gathered into as large batches."""
    kept: list[Sample] = []
    for number in range(len(batches)):
        kept += [sample for sample in apart(batches, number) if queries in (None, len(sample.dialogues))]
        while len(kept) >= batches.config.images:
            yield kept[: batches.config.images]
            kept = kept[batches.config.images :]


def _queries(told: Dialogue, first: Dialogue | None) -> tuple[Dialogue, ...]:
    """The conversation that a sample begins with, if any, and each direct request behind it."""
    turns, targets = (len(first.turns), len(first.targets)) if first else (0, 0)
    requests = [
        Dialogue(told.turns[turns + 2 * index : turns + 2 * index + 2], (target,), image=told.image, kind="direct")
        for index, target in enumerate(told.targets[targets:])
    ]
    return (*([first] if first else []), *requests)


def gradients(model: Miras, batch: Batch, forward: Forward, config: TrainConfig) -> Gradients:
    """The gradient of every trained weight."""
    model.zero_grad()
    compute_losses(forward(model, batch), batch, config.loss).total.backward()
    return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


def difference(model: Miras, parts: Parts, ours: Gradients, theirs: Gradients) -> float:
    """The largest difference of two sides' gradients of a part, relative to the norm of the second's."""
    assert ours.keys() == theirs.keys()
    names = {id(weight): name for name, weight in model.named_parameters()}
    found = []
    for part, weights in parts.items():
        used = [names[id(weight)] for weight in weights if names[id(weight)] in theirs]
        own, other = (torch.cat([side[name].flatten() for name in used]) for side in (ours, theirs))
        assert other.norm() > 0, f"{part} has no gradient"
        found.append(float((own - other).norm() / other.norm()))
    return max(found)


def measure(model: Miras, parts: Parts, config: TrainConfig, drawn: Sequence[Sequence[Sample]], rounds: int) -> Figures:
    """All three sides of the same batches. Raises AssertionError where their gradients differ."""
    encoder, views = model.processor.encoder, replace(model.processor.views, high=config.image_size)
    trained = [weight for weights in parts.values() for weight in weights]
    step = torch.optim.AdamW(trained, lr=0.0)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    seconds = np.zeros((rounds, len(SIDES)))
    figures: Figures = {"queries": 0, "images": 0, "targets": 0, "tokens": 0, "tokens_theirs": 0}
    off = {"gradients": 0.0, "gradients_cached": 0.0, "gradients_bf16": 0.0}
    for samples in drawn:
        packed, rows = (
            Collator(encoder, views, mask_size=config.image_size // config.mask_stride, pack=pack)(samples)
            for pack in (True, False)
        )
        for batch in (packed, rows):
            batch.high = batch.high.contiguous(memory_format=torch.channels_last)
        exact, cached = (with_features(model, packed, dtype) for dtype in (torch.float32, torch.bfloat16))
        sides: list[tuple[Batch, Forward]] = [(rows, by_query), (packed, once), (cached, once)]
        theirs = gradients(model, rows, by_query, config)
        for name, batch in zip(off, (packed, exact, cached), strict=True):
            off[name] = max(off[name], difference(model, parts, gradients(model, batch, once, config), theirs))
        for name in ("gradients", "gradients_cached"):
            assert off[name] < TOLERANCE, f"{name} are {off[name]:.1e} apart, at most {TOLERANCE} is allowed"
        counts = (
            len(rows.dialogue_image),
            len(rows.high),
            len(rows.masks),
            packed.input_ids.numel(),
            rows.input_ids.numel(),
        )
        figures |= {name: figures[name] + count for name, count in zip(figures, counts, strict=True)}
        for each in range(rounds):
            for side, (batch, forward) in enumerate(sides):
                began = clock()
                gradients(model, batch, forward, config)
                nn.utils.clip_grad_norm_(trained, config.clip)
                step.step()
                seconds[each, side] += clock() - began
    speeds = figures["queries"] / seconds  # (rounds, sides)
    spread = {name: speeds[:, side] / speeds[:, 0] for side, name in ((1, "ratio"), (2, "ratio_cached"))}
    ratios = {name: [round(float(f), 3) for f in (np.median(r), r.min(), r.max())] for name, r in spread.items()}
    medians = {f"{name}_per_second": round(float(np.median(speeds[:, i])), 4) for i, name in enumerate(SIDES)}
    return {**figures, **ratios, **medians, **{name: float(f"{value:.1e}") for name, value in off.items()}}


def _table(title: str, found: Figures) -> None:
    each = found["queries"] / found["images"]
    print(f"{title}: {each:.2f} queries per image, {found['targets'] / found['images']:.2f} masks")
    print(f"  tokens, padding counted: theirs {found['tokens_theirs']}, ours {found['tokens']}")
    print(
        "  gradients apart by {gradients}, with features {gradients_cached}, in bf16 {gradients_bf16}".format(**found)
    )
    for name, ratio in zip(SIDES, ([1.0] * 3, found["ratio"], found["ratio_cached"]), strict=True):
        print("  {:7} {:8.3f} queries/s  {:5.2f} ({:.2f} to {:.2f})".format(name, found[f"{name}_per_second"], *ratio))


def _settings(options: argparse.Namespace) -> TrainConfig:
    """The configuration with the weights that ship, else the preset's, and without what theirs does not know."""
    start = ["init=null", f"preset={options.model}"]
    if (EMBEDDED / options.model / "config.json").is_file():
        start = ["preset=null", f"init={EMBEDDED / options.model}"]
    config = load_config(options.config, [*start, "workers=0", f"data={options.data}", *options.settings])
    return replace(config, loss=replace(config.loss, naming=0.0))


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, default=_CONFIG, help="what miras train would be given")
    parser.add_argument("--model", default="nano", help="the preset that it is about")
    parser.add_argument("--data", default="../shared/data/photos", help="a folder of annotated photos")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=2, help="of each table")
    parser.add_argument("--queries", type=int, default=3, help="direct requests per image of the second table")
    parser.add_argument("--threads", type=int, default=0, help="0 leaves it to torch")
    parser.add_argument("settings", nargs="*", help="key=value, laid over the configuration")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    config = _settings(options)
    direct = replace(config, sources={"photos": 1}, targets=options.queries, sequence_tokens=10_000)
    model = start_model(config)
    parts = choose_parts(model, config.parts)
    model.train()
    tables = {}
    for title, each in (("as configured", config), ("direct requests", direct)):
        batches = make_batches(each, model)
        drawn = list(islice(_drawn(batches, None if each is config else options.queries), options.batches))
        tables[title] = measure(model, parts, each, drawn, options.rounds)
        _table(title, tables[title])
    first, second = tables.values()
    figures = {
        "benchmark": "train_step",
        "ratio": first["ratio"][0],
        "ratio_cached": first["ratio_cached"][0],
        "ratio_direct": second["ratio"][0],
        "ratio_cached_direct": second["ratio_cached"][0],
        "peer": "one sequence per query, visual encoders run for each, all tokens to the vocabulary",
        "as_configured": first,
        "direct": second,
        "direct_queries": options.queries,
        "rounds": options.rounds,
        "batches": options.batches,
        "images_per_batch": config.images,
        "image_size": config.image_size,
        "threads": torch.get_num_threads(),
        "config": options.config.name,
        "model": options.model,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
