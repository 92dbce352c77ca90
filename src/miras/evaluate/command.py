"""`miras evaluate …`: one command per step, each importing what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from miras.evaluate.judge.command import judge, judge_pair
from miras.evaluate.judge.human.command import app as human

__all__ = ["app", "photos"]

app = typer.Typer(help="Ask a model, score what it answers, judge it and report it.", no_args_is_help=True)
app.command("judge")(judge)
app.command("judge-pair")(judge_pair)
app.add_typer(human, name="human")

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
