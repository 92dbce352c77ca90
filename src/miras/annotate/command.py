"""`miras annotate …`: one command per step, each importing what it needs when it runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from miras.errors import ConfigError

__all__ = ["adjudicate", "agree", "app", "export", "hand_on", "qualify", "trial"]

app = typer.Typer(
    help="Give images out to annotators, read their masks, say how far they agree, settle what they do not.",
    no_args_is_help=True,
)

_Records = Annotated[Path, typer.Argument(help="PRIST JSON, or any format that `miras prist convert` reads.")]
_Out = Annotated[Path, typer.Argument(help="New folder to write.")]
_Images = Annotated[Path, typer.Option(help="Folder of the images.")]
_Project = Annotated[Path, typer.Argument(help="Folder that `miras annotate export` wrote.")]
_Returned = Annotated[
    Path | None, typer.Option(help="Folder with one folder per person, where they are not back in tasks/.")
]
_Seed = Annotated[int, typer.Option(help="Seed of the draw.")]
_Agree = Annotated[float, typer.Option(help="IoU from which two masks are the same.")]


@contextmanager
def _reading(total: int) -> Iterator[Callable[[], None]]:
    """A bar of progress, and what moves it on by one."""
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task("images", total=total)
        yield lambda: progress.advance(task)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


@app.command("export")
def export(
    records: _Records,
    out: _Out,
    images: _Images,
    groups: Annotated[int, typer.Option(min=1, help="Groups of two annotators; the paper has 5 and 3.")] = 3,
    people: Annotated[
        str, typer.Option(help="Names with commas: two annotators and a resolver per group, then the reviewer.")
    ] = "",
    start: Annotated[bool, typer.Option("--start", help="Show the records' own masks as proposals.")] = False,
    seed: _Seed = 0,
) -> None:
    """Write a folder of labelme files and dialogues for every annotator."""
    from miras.annotate.project import export
    from miras.prist.convert import open_records

    rows = open_records(records)
    with _reading(len({row["img_id"] for row in rows})) as tell:
        project = export(rows, out, images, groups=groups, seed=seed, people=_names(people), start=start, tell=tell)
    for group in project.plan.groups:
        typer.echo(
            f"{group.name}: {' and '.join(group.annotators)} mark {len(project.items(group))} items on "
            f"{len(group.images)} images, {group.resolver} resolves"
        )
    typer.echo(f"{out / 'tasks'} holds a folder per annotator; {project.plan.reviewer} reviews")


@app.command("trial")
def trial(
    records: Annotated[Path, typer.Argument(help="PRIST JSON with known masks.")],
    out: _Out,
    images: _Images,
    people: Annotated[str, typer.Option(help="Names of the candidates, with commas.")],
    count: Annotated[int | None, typer.Option(min=1, help="Draw so many of the records by the seed.")] = None,
    seed: _Seed = 0,
) -> None:
    """Write a qualification batch: every candidate marks what has a known mask."""
    from miras.annotate.qualify import export_trial
    from miras.prist.convert import open_records
    from miras.prist.split import sample

    rows = open_records(records)
    if count is not None:
        rows = sample(rows, count, seed=seed)
    with _reading(len({row["img_id"] for row in rows})) as tell:
        export_trial(rows, out, images, people=_names(people), tell=tell)
    typer.echo(f"{out / 'tasks'} holds a folder per candidate, each with {len(rows)} dialogues")


@app.command("qualify")
def qualify(
    trial: Annotated[Path, typer.Argument(help="Folder that `miras annotate trial` wrote.")],
    returned: _Returned = None,
    iou: Annotated[float, typer.Option(help="IoU with the known mask from which a target is right.")] = 0.8,
    share: Annotated[float, typer.Option("--pass", help="Share of targets that has to be right.")] = 0.8,
) -> None:
    """Score the candidates; ends with 1 when one of them does not pass."""
    from miras.annotate.qualify import score_trial

    scores = score_trial(trial, returned, iou=iou, share=share)
    for score in scores:
        for remark in score.remarks:
            typer.echo(str(remark))
        typer.echo(
            f"{score.person}: {score.right} of {score.targets} targets right ({score.right / score.targets:.1%}), mean "
            f"IoU {score.iou:.3f}: {'passed' if score.passed else 'not passed'}"
        )
    if not all(score.passed for score in scores):
        raise typer.Exit(1)


@app.command("agree")
def agree(project: _Project, returned: _Returned = None, seed: _Seed = 0) -> None:
    """Show table 1: how far the two annotators of each group agree; ends with 1 when a group misses a gate."""
    from miras.annotate.project import open_project
    from miras.annotate.report import table

    opened = open_project(project, returned)
    with _reading(2 * len(opened.wanted)) as tell:
        works = opened.works(tell)
    agreements, remarks = opened.agreements(works, seed=seed)
    for remark in remarks:
        typer.echo(str(remark))
    rows = table(agreements)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if not all(all(one.passes().values()) for one in agreements):
        raise typer.Exit(1)


@app.command("adjudicate")
def adjudicate(
    project: _Project,
    returned: _Returned = None,
    agree: _Agree = 0.8,
    seed: _Seed = 0,
) -> None:
    """Settle masks and dialogues by the rules: settled.json, audit.jsonl, and a report of what needs a person."""
    from datetime import UTC, datetime

    from miras.annotate.adjudicate import Thresholds
    from miras.annotate.project import open_project
    from miras.annotate.settle import SETTLED, settle, write_settled

    opened = open_project(project, returned)
    with _reading(2 * len(opened.wanted)) as tell:
        settled = settle(opened, Thresholds(agree=agree), seed=seed, tell=tell)
    added = write_settled(opened, settled, when=datetime.now(UTC).isoformat(timespec="seconds"))
    left = settled.report.open()
    typer.echo(f"{len(settled.records)} of {len(opened.records)} records are settled, in {project / SETTLED}")
    typer.echo(f"{len(left)} things need a person, see {project / 'report.md'}; {added} new lines in the audit trail")


@app.command("hand-on")
def hand_on(
    project: _Project,
    to: Annotated[str, typer.Option(help="resolver or reviewer.")],
    returned: _Returned = None,
    agree: _Agree = 0.8,
    check: Annotated[float, typer.Option(min=0, max=1, help="Share of the settled images to be looked at too.")] = 0.1,
    seed: _Seed = 0,
) -> None:
    """Write the folders of the resolvers, or the reviewer's: what is not settled, with all that was drawn."""
    from typing import get_args

    from miras.annotate.adjudicate import Thresholds
    from miras.annotate.hand_on import To, hand_on
    from miras.annotate.project import open_project
    from miras.annotate.settle import settle

    if to not in get_args(To):
        raise ConfigError(f"work is handed on to one of {' and '.join(get_args(To))}, got {to}; choose one of them")
    opened = open_project(project, returned)
    with _reading(2 * len(opened.wanted)) as tell:
        report = settle(opened, Thresholds(agree=agree), seed=seed, tell=tell).report
    made = hand_on(opened, to, report.decisions, report.texts, check=check, seed=seed)  # type: ignore[arg-type]
    for person, images in made.items():
        typer.echo(
            f"{person}: {images} images in {project / 'tasks' / person}" if images else f"{person}: nothing to do"
        )
