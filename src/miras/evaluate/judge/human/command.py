"""`miras evaluate human …`: people answer, are judged as a model is, and stand beside it."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["agree", "app", "bring_in", "check", "export", "table"]

app = typer.Typer(help="Ask people what a model was asked, and compare (appendix C.4.3).", no_args_is_help=True)

_Folder = Annotated[Path, typer.Option(help="Folder that `miras evaluate human export` wrote.")]
_Answers = Annotated[list[Path], typer.Argument(help="Files that the experts saved.")]
_Seed = Annotated[int, typer.Option(help="Seed of every draw.")]


@app.command("export")
def export(
    cases: Annotated[Path, typer.Option(help="File of cases, as models answer it.")],
    out: Annotated[Path, typer.Option(help="New folder to write.")],
    experts: Annotated[int, typer.Option(min=1, help="People who answer.")] = 3,
    count: Annotated[int, typer.Option(min=1, help="Conversations, the same for all of them.")] = 100,
    seed: _Seed = 0,
    images: Annotated[Path | None, typer.Option(help="Folder of the images, in place of the cases' own.")] = None,
) -> None:
    """Write a page for each expert: the questions of seeded conversations, their answers left out."""
    from rich.progress import Progress

    from miras.evaluate.judge.human.export import PAGES, export

    with Progress(transient=True) as progress:
        task = progress.add_task("conversations", total=count)
        talks = export(
            cases, out, experts=experts, count=count, seed=seed, images=images, tell=lambda: progress.advance(task)
        )
    blind = sum(talk.image is None for talk in talks)
    typer.echo(f"{out / PAGES} holds a page for each of {experts} experts, {len(talks)} conversations each")
    typer.echo(f"{blind} of them have no image")
    typer.echo(f"keep {out / 'cases.jsonl'} to yourself: it holds the true answers")


@app.command("check")
def check(answers: _Answers, folder: _Folder) -> None:
    """Say what is missing in answers that came back; ends with 1 when anything is."""
    from miras.evaluate.cases import read_cases
    from miras.evaluate.judge.human.answers import read_answers
    from miras.evaluate.runs import CASES

    cases, wrong = read_cases(folder / CASES), 0
    for path in answers:
        given = read_answers(path, cases)
        for remark in given.remarks:
            typer.echo(remark)
        wrong += len(given.remarks)
        typer.echo(f"{given.expert}: {len(given.answers)} of {len(cases)} conversations answered in full")
    if wrong:
        raise typer.Exit(1)


@app.command("import")
def bring_in(
    answers: _Answers,
    folder: _Folder,
    out: Annotated[Path, typer.Option(help="Folder that gets a run for each expert.")],
) -> None:
    """Make a run of each expert's answers, to be judged as a model's is."""
    from miras.evaluate.judge.human.answers import import_answers

    for run in import_answers(answers, folder, out):
        typer.echo(f"{run}: judge it by `miras evaluate judge {run} …`")


@app.command("table")
def table(
    experts: Annotated[list[Path], typer.Argument(help="Judged runs of experts.")],
    model: Annotated[list[Path] | None, typer.Option(help="A judged run of a model; may be given again.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
    seed: _Seed = 0,
) -> None:
    """Show table 10, the Human row, and how often each model scores above people (tables 4 and 10)."""
    from miras.evaluate.judge.human.table import human_table, table_text
    from miras.evaluate.judge.judged import read_judged
    from miras.files import write_json

    found = human_table([read_judged(run) for run in experts], [read_judged(run) for run in model or ()], seed)
    if out is not None:
        write_json(out, found)
    typer.echo(table_text(found))


@app.command("agree")
def agree(
    run: Annotated[Path, typer.Argument(help="A judged run.")],
    scores: Annotated[Path, typer.Option(help="CSV of people's scores: person,id,PR,LC,CC,TR.")],
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
    seed: _Seed = 0,
) -> None:
    """Show how far judge and people agree on the scores of a run, and people among themselves."""
    from miras.evaluate.judge.human.people import agreement, agreement_text, read_scorings
    from miras.evaluate.judge.judged import read_judged
    from miras.files import write_json

    judged = read_judged(run)
    found = agreement(judged, read_scorings(scores, judged), seed)
    if out is not None:
        write_json(out, found)
    typer.echo(agreement_text(found))
