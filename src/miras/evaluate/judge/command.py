"""`miras evaluate judge` and `judge-pair`: a language model scores conversations, or says which of two is better."""

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from miras.llm.server import ServerOptions, asks_a_server

if TYPE_CHECKING:
    from miras.evaluate.judge.asking import Telling
    from miras.llm.client import Endpoint

__all__ = ["CheckName", "judge", "judge_pair"]

_TEMPERATURE = 1.0
"""Where none is given: what servers take by themselves, and the only one that some models know."""

_Run = Annotated[Path, typer.Argument(help="Folder with cases.jsonl and predictions.jsonl.")]
_JudgeName = Annotated[str, typer.Option("--judge", help="Name of the model that judges, as its server knows it.")]
_Images = Annotated[Path | None, typer.Option(help="Folder of the images, in place of the one that the cases name.")]
_ShowImages = Annotated[bool, typer.Option(help="Let the judge see the images, where there are any.")]
_Side = Annotated[int, typer.Option(min=64, help="Longest side in pixels of the images that are shown.")]


class CheckName(StrEnum):
    """What can be checked about a judge."""

    order = "order"
    padding = "padding"
    planted = "planted"


@asks_a_server
def judge(
    run: _Run,
    judge: _JudgeName,
    repeats: Annotated[int, typer.Option(min=1, help="Times that each conversation is scored.")] = 5,
    check: Annotated[
        list[CheckName] | None,
        typer.Option(help="Check the judge on --sample conversations; order asks 3, padding 1, planted 4 about each."),
    ] = None,
    sample: Annotated[int, typer.Option(min=2, help="Conversations of a check, drawn by the seed.")] = 40,
    among: Annotated[Path | None, typer.Option(help="Judge only the conversations of this file of cases.")] = None,
    images: _Images = None,
    show_images: _ShowImages = True,
    image_side: _Side = 1024,
    seed: Annotated[int, typer.Option(help="Seed of the first repeat and of every draw.")] = 0,
    *,
    asked: ServerOptions,
) -> None:
    """Score the conversations of a run by figure 8's rubric, into RUN/judge.json; started again, it goes on."""
    from miras.evaluate.judge.run import Plan, judge_run, open_run
    from miras.evaluate.judge.text import judge_text

    plan = Plan(
        _endpoint(asked, judge),
        asked.limits(),
        repeats=repeats,
        seed=seed,
        checks=tuple(dict.fromkeys(one.value for one in check or ())),
        sample=sample,
        images=images,
        show_images=show_images,
        longest=image_side,
        among=among,
    )
    work = open_run(run, plan)
    typer.echo(f"{len(work.talks)} conversations, {work.requests} questions to {judge}", err=True)
    with _telling(work.requests) as tell:
        report = _kept(judge_run(run, plan, work, tell))
    typer.echo(judge_text(report))


@asks_a_server
def judge_pair(
    first: _Run,
    second: Annotated[Path, typer.Argument(help="Another such folder, on the same cases.")],
    judge: _JudgeName,
    out: Annotated[Path, typer.Option(help="JSON file to write; replies are kept beside it.")],
    images: _Images = None,
    show_images: _ShowImages = True,
    image_side: _Side = 1024,
    seed: Annotated[int, typer.Option(help="Seed of the questions and of every draw.")] = 0,
    *,
    asked: ServerOptions,
) -> None:
    """Let the judge say which of two runs is better, conversation by conversation, in both orders."""
    from miras.evaluate.judge.pair import compare_runs, open_pair
    from miras.evaluate.judge.run import Plan
    from miras.evaluate.judge.text import pair_text

    plan = Plan(
        _endpoint(asked, judge),
        asked.limits(),
        seed=seed,
        images=images,
        show_images=show_images,
        longest=image_side,
    )
    work = open_pair(first, second, plan)
    typer.echo(f"{len(work.pairs)} conversations, {work.requests} questions to {judge}", err=True)
    with _telling(work.requests) as tell:
        report = _kept(compare_runs(out, plan, work, tell))
    typer.echo(pair_text(report))


def _endpoint(asked: ServerOptions, model: str) -> "Endpoint":
    from dataclasses import replace

    endpoint = asked.endpoint(model)
    return replace(endpoint, temperature=_TEMPERATURE if endpoint.temperature is None else endpoint.temperature)


def _kept(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    import asyncio

    from miras.errors import LlmError

    try:
        return asyncio.run(work)
    except (KeyboardInterrupt, LlmError):
        typer.echo("what was answered is kept; the same command goes on from here", err=True)
        raise


@contextmanager
def _telling(requests: int) -> "Iterator[Telling]":
    """A bar on the terminal with what is spent and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("answers", total=requests)

        def tell(done: int, cost: float) -> None:
            bar.update(task, completed=done, description=f"answers, {cost:.4f} spent" if cost else "answers")

        yield tell
