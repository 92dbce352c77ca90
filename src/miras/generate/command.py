"""`miras generate`: dialogues from images, by a model that sees or from annotations, in a run that can be resumed."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from miras.llm.server import ServerOptions, asks_a_server

if TYPE_CHECKING:
    from miras.generate.run import Progress, Telling

__all__ = ["Engine", "generate"]


class Engine(StrEnum):
    """What runs the work."""

    local = "local"
    ray = "ray"


@asks_a_server
def generate(
    teacher: Annotated[str, typer.Option(help="`annotation`, or the name of a model that sees.")],
    images: Annotated[Path, typer.Option(help="Folder of images; for `annotation` one with {split}.jsonl.gz.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command goes on with it.")],
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many images, drawn by the seed.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 0,
    engine: Annotated[Engine, typer.Option(help="One machine, or a Ray cluster.")] = Engine.local,
    split: Annotated[str, typer.Option(help="Annotations that the annotation teacher reads.")] = "train",
    captions: Annotated[Path | None, typer.Option(help="TextCaps' annotations: categories and captions.")] = None,
    categories: Annotated[int, typer.Option(min=1, help="With --per-category: so many categories.")] = 10,
    per_category: Annotated[
        int | None, typer.Option(min=1, help="Images of each category, no two alike; the paper's is 280.")
    ] = None,
    shard: Annotated[int, typer.Option(min=1, help="With --engine ray: images of one task.")] = 200,
    *,
    asked: ServerOptions,
) -> None:
    """Make multi-turn dialogues of the images in a folder (paper section 3.2)."""
    from miras.errors import LlmError
    from miras.generate.job import ANNOTATION, Choice, Job

    job = Job(
        teacher=teacher,
        images=images,
        out=out,
        seed=seed,
        limit=limit,
        split=split,
        captions=captions,
        choice=None if per_category is None else Choice(categories, per_category),
        endpoint=None if teacher == ANNOTATION else asked.endpoint(teacher),
        limits=asked.limits(),
    )
    out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=out / "run.log", format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING
    )
    logging.getLogger("miras").setLevel(logging.INFO)
    pictures = job.pictures()
    try:
        with _shown(len(pictures)) as tell:
            if engine is Engine.ray:
                from miras.generate.cluster import run_on_cluster

                run_on_cluster(job, pictures, shard, tell)
            else:
                from miras.generate.run import run

                asyncio.run(run(job, pictures, out, tell))
    except (KeyboardInterrupt, LlmError):
        _sum_up(out)
        typer.echo("what is finished is kept; the same command goes on from here", err=True)
        raise
    _sum_up(out)


def _sum_up(out: Path) -> None:
    """Says what the folder of a run holds by now."""
    import json

    if (report := out / "report.json").is_file():
        for name, value in json.loads(report.read_text(encoding="utf-8")).items():
            typer.echo(f"{name.replace('_', ' ')}: {value}")


@contextmanager
def _shown(images: int) -> "Iterator[Telling]":
    """A bar on the terminal with rate, dialogues, cost so far and time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("images", total=images)

        def tell(progress: "Progress") -> None:
            cost = f", {progress.cost:.4f} spent" if progress.cost else ""
            left = f", {progress.left / 60:.1f} min left" if progress.left is not None else ""
            said = f"{progress.rate:.1f} images/s, {progress.dialogues} dialogues{cost}{left}"
            bar.update(task, completed=progress.before + progress.done, description=said)

        yield tell
