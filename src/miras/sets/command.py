"""`miras data …`: the public data sets below a folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from miras.sets.check import Found

__all__ = ["app", "check_sets"]

app = typer.Typer(help="Look after the public data sets that training reads.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Look after the public data sets that training reads."""


@app.command("check")
def check_sets(
    root: Annotated[Path, typer.Argument(help="The folder of all sets, in LISA's tree: coco/, ade20k/, vlpart/, …")],
    sets: Annotated[list[str] | None, typer.Option("--set", help="A set to look at; all of them by default.")] = None,
    splits: Annotated[
        list[str] | None, typer.Option("--split", help="A split to look at; all that a set has by default.")
    ] = None,
    samples: Annotated[int, typer.Option(min=0, help="Items of each split to read as training does.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for index.html with the samples and their masks.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON in place of the table.")] = False,
) -> None:
    """See which sets are there and whole; ends with 1 when something is missing, too small or broken."""
    from rich.console import Console

    from miras.errors import DataError
    from miras.sets.check import check, wanted

    if not root.is_dir():
        raise DataError(f"no folder at {root}; give the one that holds coco/, ade20k/, vlpart/ and so on")
    pairs = wanted(sets or (), splits or ())
    console = Console(stderr=True)
    done: list[Found] = []
    try:
        with console.status("looking") as status:
            # one by one, so that Ctrl-C keeps what is finished
            for pair in pairs:
                done += check(root, [pair], samples=samples, seed=seed, tell=status.update)
    finally:
        _report(done, root, out, as_json=as_json)
    if not all(found.whole for found in done):
        raise typer.Exit(1)


def _report(done: "list[Found]", root: Path, out: Path | None, *, as_json: bool) -> None:
    """Tells of all that was looked at, which after Ctrl-C is not everything."""
    import json

    from miras.files import write_text
    from miras.sets.picture import picture_page
    from miras.sets.report import told_in_words

    if as_json:
        typer.echo(json.dumps([found.to_json() for found in done], indent=2, ensure_ascii=False))
    else:
        typer.echo(told_in_words(done), nl=False)
    if out is not None:
        shown = {f"{found.entry.title}: {found.split}": list(found.pictures) for found in done if found.pictures}
        number = sum(map(len, shown.values()))
        page = write_text(out / "index.html", picture_page("Samples", f"{number} of {root}", shown))
        typer.echo(f"samples: {page}", err=True)
