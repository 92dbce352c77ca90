"""`miras evaluate cases`: a benchmark as one file of questions and true masks."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["cases"]


def cases(
    benchmark: Annotated[
        str, typer.Argument(help="refcoco, refcoco+, refcocog, refclef, reason-seg, prist or photos.")
    ],
    data: Annotated[Path, typer.Option(help="Folder of the benchmark's official files.")],
    out: Annotated[Path, typer.Option(help="JSONL file to write.")],
    split: Annotated[str, typer.Option(help="val, testA, google:val, … as the benchmark has them.")] = "val",
    suite: Annotated[str, typer.Option(help="direct or multi_turn; by default the benchmark's first.")] = "",
    images: Annotated[Path | None, typer.Option(help="Folder of images, where it is not the usual one.")] = None,
    prompt: Annotated[str, typer.Option(help="standard, plain, or words with {phrase} in them.")] = "standard",
    masks: Annotated[Path | None, typer.Option(help="Folder of labelme files, for prist.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Keep only this many cases, drawn by the seed.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 0,
) -> None:
    """Write a benchmark as one file of questions and true masks, which every model answers."""
    from miras.evaluate.benchmarks.registry import write_benchmark
    from miras.evaluate.benchmarks.wanted import Wanted

    write_benchmark(benchmark, Wanted(data, split, suite, images, prompt, masks, limit, seed), out)
