"""Training steps with everything computed once, over the same steps with all of it repeated for each query.

    python benchmarks/train_step.py [--rounds 3] [--batches 2] [--threads 0]

A query is one dialogue about an image: a conversation, or a direct request. Theirs is the scheme of LISA's and MIRAS's
published code: each query is a sequence of its own with the image's tokens, both visual encoders are run for each of
them, and every token meets the vocabulary; only the pixel encoder is run once per image. Ours is the step that `miras
train` makes of the same samples: encoders once per image, and

- in stage 1, the mask path, the language model, which is frozen, has read every request before the first step;
- in stage 2, the image's queries stand in one row, and only what is trained on meets the vocabulary. A third side is
  ours with the features of the frozen encoders kept in bf16.

The queries are those that the configurations really draw, in stage 2 taken apart. A step is forward, loss, backward,
clipping and AdamW with a learning rate of 0, on the weights that ship where there are some; reading data is not timed,
and the loss has no `naming`, which theirs does not know.

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
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from miras.config import TrainConfig, load_config
from miras.data.collate import Collator
from miras.model.checkpoint import EMBEDDED
from miras.model.features import FrozenEncoders
from miras.model.losses import compute_losses
from miras.model.miras import Miras
from miras.train.batches import Batches, make_batches
from miras.train.phrases import contexts_of, phrase_states, read_states
from miras.train.sources import Pool
from miras.train.stages import CachedText, JointText, choose_parts, start_model
from miras.types import Batch, Dialogue, ModelOutput, Sample

__all__ = ["TOLERANCE", "apart", "by_query", "by_request", "joint", "main", "mask_path", "measure", "once"]

TOLERANCE = 1e-3
"""How far gradients may be apart, as a share of the norm of their part's."""

Figures = dict[str, Any]
Forward = Callable[[Miras, Batch], ModelOutput]
Gradients = dict[str, Tensor]
Parts = dict[str, list[nn.Parameter]]
Sides = dict[str, tuple[Batch, Forward]]
Made = Callable[[Miras, TrainConfig, Sequence[Sample]], Sides]

_CONFIGS = [Path(__file__).resolve().parents[1] / "configs" / f"nano_stage{stage}.yaml" for stage in (1, 2)]
_NAMED = {"fusion", "vision_projector", *(f"low_stage{stride}" for stride in (4, 8, 16, 32))}
"""What the mask path alone trains by `naming`."""


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


def by_request(model: Miras, batch: Batch) -> ModelOutput:
    """One pass of the mask path as above: each request is read, and its image seen, as if it were alone.

    The image's tokens are made; that they are read too, in front of each request, is spared this side.
    """
    image, contexts = batch.seg_image, contexts_of(model.config.alignment)
    chosen = np.random.default_rng(0).integers(len(contexts), size=len(image))
    read = read_states(model, [(phrase, contexts[index]) for phrase, index in zip(batch.phrases, chosen, strict=True)])
    states = pad_sequence([each.float() for each in read], batch_first=True)
    queries = model.queries(states, torch.arange(len(read)), torch.tensor([[1, len(each) - 1] for each in read]))
    seen = model.see(batch.low[image], batch.high[image], batch.content[image])
    first = torch.searchsorted(image, torch.arange(len(batch.high))).clamp(max=len(image) - 1)
    mask_logits, iou = model.mark_batch(queries, batch, tuple(maps[first] for maps in seen.maps))
    return ModelOutput(mask_logits.new_zeros(0, 1), batch.seg_dialogue[:0], mask_logits, iou)


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
    pairs = zip(samples, noted, strict=True)
    return [replace(sample, dialogues=_queries(sample.dialogues[0], first)) for sample, first in pairs]


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


def joint(model: Miras, config: TrainConfig, samples: Sequence[Sample]) -> Sides:
    """A step with the language model: theirs, ours, and ours with kept features in fp32 and in bf16."""
    encoder, views = model.processor.encoder, replace(model.processor.views, high=config.image_size)
    packed, rows = (
        Collator(encoder, views, mask_size=config.image_size // config.mask_stride, pack=pack)(samples)
        for pack in (True, False)
    )
    for batch in (packed, rows):
        batch.high = batch.high.contiguous(memory_format=torch.channels_last)
    exact, cached = (with_features(model, packed, dtype) for dtype in (torch.float32, torch.bfloat16))
    return {"theirs": (rows, by_query), "ours": (packed, once), "exact": (exact, once), "cached": (cached, once)}


def mask_path(model: Miras, config: TrainConfig, samples: Sequence[Sample]) -> Sides:
    """A step without the language model: theirs reads each request, ours has the states of its words."""
    views = replace(model.processor.views, high=config.image_size)
    collator = Collator(model.processor.encoder, views, mask_size=config.image_size // config.mask_stride)
    batch = collator.masks_only(samples)
    batch.high = batch.high.contiguous(memory_format=torch.channels_last)
    with TemporaryDirectory() as folder:
        states = phrase_states(model, sorted(set(batch.phrases)), Path(folder), lambda *_: None)
    known = CachedText(states)
    return {"theirs": (batch, by_request), "ours": (batch, lambda m, b: known.run(m, b, np.random.default_rng(0)))}


def measure(
    model: Miras, parts: Parts, config: TrainConfig, drawn: Sequence[Sequence[Sample]], rounds: int, made: Made
) -> Figures:
    """All sides of the same batches. Raises AssertionError where their gradients differ."""
    trained = [weight for weights in parts.values() for weight in weights]
    step = torch.optim.AdamW(trained, lr=0.0)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    figures: Figures = {"queries": 0, "images": 0, "targets": 0, "tokens": 0, "tokens_theirs": 0}
    seconds: dict[str, list[float]] = {}
    off: dict[str, float] = {}
    for samples in drawn:
        sides = made(model, config, samples)
        theirs = gradients(model, *sides["theirs"], config)
        for name in list(sides)[1:]:
            apart_by = difference(model, parts, gradients(model, *sides[name], config), theirs)
            off[name] = max(off.get(name, 0.0), apart_by)
            allowed = TOLERANCE if name != "cached" else 1.0
            assert off[name] < allowed, f"gradients of {name} are {off[name]:.1e} apart, at most {allowed} is allowed"
        sides.pop("exact", None)
        rows, ours = sides["theirs"][0], sides["ours"][0]
        queries = len(rows.dialogue_image) if rows.input_ids.numel() else len(rows.masks)
        counts = (queries, len(rows.high), len(rows.masks), ours.input_ids.numel(), rows.input_ids.numel())
        figures |= {name: figures[name] + count for name, count in zip(figures, counts, strict=True)}
        for each in range(rounds):
            for name, (batch, forward) in sides.items():
                began = clock()
                gradients(model, batch, forward, config)
                nn.utils.clip_grad_norm_(trained, config.clip)
                step.step()
                seconds.setdefault(name, [0.0] * rounds)[each] += clock() - began
    speeds = {name: figures["queries"] / np.array(spent) for name, spent in seconds.items()}
    for name, speed in speeds.items():
        ratio = speed / speeds["theirs"]
        figures[f"{name}_per_second"] = round(float(np.median(speed)), 4)
        figures[f"ratio_{name}"] = [round(float(f), 3) for f in (np.median(ratio), ratio.min(), ratio.max())]
    return {**figures, **{f"gradients_{name}": float(f"{value:.1e}") for name, value in off.items()}}


def _table(title: str, found: Figures) -> None:
    print(f"{title}: {found['queries'] / found['images']:.2f} queries per image, {found['targets']} masks in all")
    if found["tokens_theirs"]:
        print(f"  tokens, padding counted: theirs {found['tokens_theirs']}, ours {found['tokens']}")
    for name in ("theirs", "ours", "cached"):
        if (speed := found.get(f"{name}_per_second")) is not None:
            ratio, apart = found[f"ratio_{name}"], found.get(f"gradients_{name}", 0.0)
            print(f"  {name:7} {speed:8.3f} queries/s  {ratio[0]:5.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})", end="")
            print(f", gradients {apart} apart" if apart else "")


def _settings(path: Path, options: argparse.Namespace) -> TrainConfig:
    """The configuration with the weights that ship, else the preset's, and without `naming` and what learns from it."""
    start = ["init=null", f"preset={options.model}"]
    if (EMBEDDED / options.model / "config.json").is_file():
        start = ["preset=null", f"init={EMBEDDED / options.model}"]
    config = load_config(path, [*start, "workers=0", f"data={options.data}", *options.settings])
    left_out = _NAMED if config.text == "cached" else set()
    parts = {name: rate for name, rate in config.parts.items() if name not in left_out}
    return replace(config, parts=parts, loss=replace(config.loss, naming=0.0))


def _measured(config: TrainConfig, options: argparse.Namespace) -> Figures:
    """The figures of one stage."""
    model = start_model(config)
    parts = choose_parts(model, config.parts)
    model.train()
    batches = make_batches(config, model)
    drawn = [batches.samples(n) if config.text == "cached" else apart(batches, n) for n in range(options.batches)]
    return measure(model, parts, config, drawn, options.rounds, joint if config.text == "joint" else mask_path)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--configs", type=Path, nargs=2, default=_CONFIGS, help="of stages 1 and 2")
    parser.add_argument("--model", default="nano", help="the preset that it is about")
    parser.add_argument("--data", default="../shared/data/photos", help="a folder of annotated photos")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=2, help="of each stage")
    parser.add_argument("--threads", type=int, default=0, help="0 leaves it to torch")
    parser.add_argument("settings", nargs="*", help="key=value, laid over both configurations")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    tables = {}
    for stage, path in enumerate(options.configs, 1):
        tables[f"stage{stage}"] = found = _measured(_settings(path, options), options)
        _table(path.stem, found)
    figures = {
        "benchmark": "train_step",
        "ratio_stage1": tables["stage1"]["ratio_ours"][0],
        "ratio_stage2": tables["stage2"]["ratio_ours"][0],
        "ratio_stage2_cached": tables["stage2"]["ratio_cached"][0],
        "peer": "one sequence per query, visual encoders run for each, all tokens to the vocabulary",
        **tables,
        "rounds": options.rounds,
        "threads": torch.get_num_threads(),
        "configs": [path.name for path in options.configs],
        "model": options.model,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
