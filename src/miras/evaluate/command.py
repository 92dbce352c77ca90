"""`miras evaluate …`: one command per step, each importing what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app", "cases", "photos"]

app = typer.Typer(help="Ask a model, score what it answers, judge it and report it.", no_args_is_help=True)

_Model = Annotated[str, typer.Option(help="A preset's name or a folder that save_pretrained wrote.")]


@app.command("photos")
def photos(
    data: Annotated[Path, typer.Option(help="Folder with images/ and one {split}.jsonl.gz per split.")],
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")],
    split: Annotated[str, typer.Option(help="Which split to score.")] = "val",
    model: _Model = "nano",
    limit: Annotated[int | None, typer.Option(min=1, help="Score only this many targets, drawn by the seed.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every draw of the protocol.")] = 0,
) -> None:
    """Masks, answers and controls on annotated photos."""
    from miras.evaluate.photos.protocol import run_photos

    run_photos(data=data, split=split, out=out, model=model, limit=limit, seed=seed)


@app.command("cases")
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
