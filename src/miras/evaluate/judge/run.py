"""A run judged: every conversation scored several times, the judge checked, and all of it in `judge.json`.

Replies are kept in `judge.sqlite` beside it, so that the same command goes on where it was interrupted; the report is
written whole, at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from miras.errors import DataError
from miras.evaluate.cases import Cases, read_cases
from miras.evaluate.judge.asking import Judge, Telling, Wanted
from miras.evaluate.judge.checks import Check, OrderCheck, PaddingCheck, PlantedCheck, drawn, length_figures
from miras.evaluate.judge.judged import FORMAT, VERSION
from miras.evaluate.judge.rubric import SCORE
from miras.evaluate.judge.scores import Scored, score_table
from miras.evaluate.judge.talks import Talk, talks, true_talks
from miras.evaluate.predictions import Predictions, read_predictions
from miras.evaluate.runs import CASES, JUDGE, PREDICTIONS
from miras.files import write_json
from miras.llm.client import Endpoint
from miras.llm.limits import Limits
from miras.llm.pictures import LONGEST
from miras.llm.server import open_client
from miras.llm.store import Store

__all__ = ["CHECKS", "Plan", "Work", "images_said", "judge_run", "open_run"]

CHECKS: dict[str, type[Check]] = {"order": OrderCheck, "padding": PaddingCheck, "planted": PlantedCheck}


@dataclass(frozen=True)
class Plan:
    """How a run is judged."""

    endpoint: Endpoint
    limits: Limits = field(default_factory=Limits)
    repeats: int = 5
    """Times that each conversation is scored (appendix C.4.2)."""
    seed: int = 0
    """The first repeat is asked with it, each other with the next; it also draws the samples."""
    checks: tuple[str, ...] = ()
    """Of CHECKS."""
    sample: int = 40
    """Conversations that a check asks about."""
    images: Path | None = None
    """Folder of the images, in place of the one that the cases name."""
    show_images: bool = True
    longest: int = LONGEST
    """Longest side in pixels of the images that are shown."""
    among: Path | None = None
    """A file of cases: only conversations that it holds are judged."""


@dataclass(frozen=True)
class Work:
    """A run that was read, and all that will be asked about it."""

    cases: Cases
    predictions: Predictions
    talks: tuple[Talk, ...]
    wanted: tuple[Wanted, ...]
    checks: dict[str, tuple[Check, tuple[Wanted, ...]]]

    @property
    def requests(self) -> int:
        """How many questions it takes, without those that are asked again."""
        return len(self.wanted) + sum(len(wanted) for _, wanted in self.checks.values())


def open_run(run: Path, plan: Plan) -> Work:
    """Reads a folder of cases and predictions, and plans what is asked. Raises DataError where they cannot be used."""
    cases = read_cases(run / CASES)
    predictions = read_predictions(run / PREDICTIONS, cases)
    told = talks(cases, predictions, plan.images, show_images=plan.show_images)
    truth = {talk.id: talk for talk in true_talks(cases, plan.images, show_images=plan.show_images)}
    if plan.among is not None:
        told = _among(told, plan.among, run)
    checks = {}
    for name in plan.checks:
        chosen = drawn(told, plan.sample, plan.seed, name)
        check = CHECKS[name](tuple(truth[talk.id] for talk in chosen) if name == "planted" else chosen, plan.seed)
        checks[name] = check, tuple(check.wanted())
    wanted = tuple(Wanted(talk, plan.seed + repeat) for talk in told for repeat in range(plan.repeats))
    return Work(cases, predictions, tuple(told), wanted, checks)


async def judge_run(run: Path, plan: Plan, work: Work, tell: Telling | None = None) -> dict[str, Any]:
    """Asks all of `work`, writes `judge.json` into the run's folder, and returns it.

    Raises LlmError when the server fails and BudgetSpent; what was answered is kept.
    """
    with Store((run / JUDGE).with_suffix(".sqlite")) as store:
        async with open_client(plan.endpoint, store, plan.limits) as client:
            judge = Judge(client, longest=plan.longest, tell=tell)
            answers = await judge.score(work.wanted)
            scored = [
                Scored(talk, tuple(answers[number * plan.repeats : (number + 1) * plan.repeats]))
                for number, talk in enumerate(work.talks)
            ]
            plain = {one.talk.id: one for one in scored}
            checked = {}
            for name, (check, wanted) in work.checks.items():
                checked[name] = check.report(await judge.score(wanted), plain)
            spent = {"reply_form": client.form, "seeds_sent": client.sends_seeds, "cost": client.budget.cost}
    report = {
        "format": FORMAT,
        "version": VERSION,
        **_settings(plan, work),
        **spent,
        "counts": judge.counts.to_json(),
        "scores": score_table(scored, plan.seed),
        "length": length_figures(scored, plan.seed),
        "checks": checked,
        "dialogues": [one.to_json() for one in scored],
    }
    write_json(run / JUDGE, report)
    return report


def images_said(talks: Sequence[Talk], plan: Plan) -> dict[str, int | None]:
    """How many conversations the judge saw with their image, how many without, and how large."""
    shown = sum(talk.image is not None for talk in talks)
    return {"shown": shown, "not_shown": len(talks) - shown, "longest_side": plan.longest if shown else None}


def _settings(plan: Plan, work: Work) -> dict[str, Any]:
    return {
        "judge": plan.endpoint.model,
        "server": plan.endpoint.base_url,
        "rubric": SCORE.fingerprint,
        "temperature": plan.endpoint.temperature,
        "repeats": plan.repeats,
        "seed": plan.seed,
        "images": images_said(work.talks, plan),
        "model": work.predictions.about["model"],
        "history": work.predictions.about["history"],
        "benchmark": work.cases.about.get("benchmark"),
        "cases_sha256": work.cases.sha256,
        "drawn_from_sha256": work.cases.about.get("drawn_from_sha256"),
        "predictions_sha256": work.predictions.sha256,
    }


def _among(told: Sequence[Talk], path: Path, run: Path) -> list[Talk]:
    names = {case.id for case in read_cases(path)}
    if lacking := sorted(names - {talk.id for talk in told}):
        raise DataError(
            f"{run} answers {len(names) - len(lacking)} of the {len(names)} cases of {path}, not {lacking[0]!r}; name "
            "the file that was drawn from the cases of this run"
        )
    return [talk for talk in told if talk.id in names]
