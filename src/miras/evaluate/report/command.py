"""`miras evaluate report`: runs as one page."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    out: Annotated[Path, typer.Option(help="Folder for the page, the Markdown with its pictures and the JSON.")],
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Folders of runs, or of trials.", show_default=False)
    ] = None,
    fine_tuned: Annotated[list[Path] | None, typer.Option(help="A run of a fine-tuned model; may be repeated.")] = None,
    against: Annotated[Path | None, typer.Option(help="A run over the cases of the first, set beside it.")] = None,
    people: Annotated[Path | None, typer.Option(help="What `human table` wrote, for tables 4 and 10.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of images, where they moved.")] = None,
    gallery: Annotated[int, typer.Option(min=0, help="How many best, median and worst targets to show.")] = 8,
    show: Annotated[
        list[str] | None, typer.Option(help="Show cases of this stratum alone, as source=facade; may be repeated.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the report.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of what is drawn for the pictures.")] = 0,
) -> None:
    """Tables beside the paper's, strata, pictures, failures and where every figure comes from."""
    from miras.evaluate.report.folder import write_report
    from miras.provenance import told_command, versions

    page = write_report(
        runs or [],
        out,
        fine_tuned=fine_tuned or [],
        other=against,
        people=people,
        count=gallery,
        seed=seed,
        images=images,
        pictured=_strata(show or []),
        title=title,
        command=told_command(),
        versions=versions(),
        tell=lambda part: typer.echo(f"{part} …", err=True),
    )
    typer.echo(page)


def _strata(wanted: list[str]) -> dict[str, frozenset[str]]:
    """`label=stratum` words by their label. Raises ConfigError for other words."""
    from miras.errors import ConfigError

    strata: dict[str, set[str]] = {}
    for word in wanted:
        label, equals, stratum = word.partition("=")
        if not (label and equals and stratum):
            raise ConfigError(f"--show takes label=stratum, such as source=facade, got {word!r}; write it so")
        strata.setdefault(label, set()).add(stratum)
    return {label: frozenset(names) for label, names in strata.items()}
