"""Two runs compared by a judge, conversation by conversation and in both orders, so that the order decides nothing.

A run wins a conversation when the judge prefers it in both orders; all else is a tie. Where one of the two verdicts is
missing, so is the result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from miras.errors import DataError
from miras.evaluate.cases import Cases, read_cases
from miras.evaluate.judge.asking import Judge, Telling
from miras.evaluate.judge.figures import mean
from miras.evaluate.judge.forms import Place
from miras.evaluate.judge.rubric import PAIR
from miras.evaluate.judge.run import Plan, images_said
from miras.evaluate.judge.talks import Talk, talks
from miras.evaluate.predictions import Predictions, read_predictions
from miras.evaluate.runs import CASES, PREDICTIONS
from miras.files import write_json
from miras.llm.server import open_client
from miras.llm.store import Store

__all__ = ["Compared", "PairWork", "compare_runs", "open_pair", "pair_figures"]

_Winner = Literal["first", "second", "tie"]


@dataclass(frozen=True)
class PairWork:
    """Two runs that were read, and the conversations that both answer."""

    first: Predictions
    second: Predictions
    pairs: tuple[tuple[Talk, Talk], ...]

    @property
    def requests(self) -> int:
        """How many questions it takes, without those that are asked again."""
        return 2 * len(self.pairs)


@dataclass(frozen=True)
class Compared:
    """One conversation in both orders."""

    first: Talk
    second: Talk
    forward: Place | None
    """The verdict with the first run as A."""
    backward: Place | None
    """The verdict with the first run as B."""

    @property
    def winner(self) -> _Winner | None:
        """Who is preferred in both orders; None where a verdict is missing."""
        if self.forward is None or self.backward is None:
            return None
        named: dict[tuple[Place, Place], _Winner] = {("A", "B"): "first", ("B", "A"): "second"}
        return named.get((self.forward, self.backward), "tie")

    @property
    def flips(self) -> bool | None:
        """Whether both verdicts name the same place, so that another order names another run; None without both."""
        return None if self.winner is None else self.forward == self.backward != "tie"

    def to_json(self) -> dict[str, Any]:
        """The verdicts and what follows."""
        return {
            "id": self.first.id,
            "group": self.first.group,
            "first_as_a": self.forward,
            "first_as_b": self.backward,
            "winner": self.winner,
        }


def open_pair(first: Path, second: Path, plan: Plan) -> PairWork:
    """Reads both runs. Raises DataError when no conversation is the same in both."""
    told: list[tuple[Cases, Predictions, dict[str, Talk]]] = []
    for run in (first, second):
        cases = read_cases(run / CASES)
        answers = read_predictions(run / PREDICTIONS, cases)
        read = talks(cases, answers, plan.images, show_images=plan.show_images)
        told.append((cases, answers, {talk.id: talk for talk in read}))
    (cases, mine, ours), (others, theirs, yours) = told
    same = {case.id for case in others}
    known = {case.id: case.dialogue.questions for case in cases if case.id in same}
    if differ := [case.id for case in others if case.id in known and known[case.id] != case.dialogue.questions]:
        raise DataError(f"{first} and {second} were asked other questions under the id {differ[0]!r}; answer one file")
    if not known:
        raise DataError(f"{first} and {second} have no case in common; let both answer the same file of cases")
    return PairWork(mine, theirs, tuple((ours[name], yours[name]) for name in known))


async def compare_runs(out: Path, plan: Plan, work: PairWork, tell: Telling | None = None) -> dict[str, Any]:
    """Asks about every pair in both orders, writes the report to `out`, and returns it.

    Replies are kept beside it. Raises LlmError when the server fails and BudgetSpent; what was answered is kept.
    """
    with Store(out.with_suffix(".sqlite")) as store:
        async with open_client(plan.endpoint, store, plan.limits) as client:
            judge = Judge(client, longest=plan.longest, tell=tell)
            both = [*work.pairs, *((second, first) for first, second in work.pairs)]
            answers = await judge.compare(both, plan.seed)
    verdicts = [None if one is None else one.verdict for one in answers]
    half = len(work.pairs)
    compared = [
        Compared(first, second, forward, backward)
        for (first, second), forward, backward in zip(work.pairs, verdicts[:half], verdicts[half:], strict=True)
    ]
    report = {
        "format": "miras-judge-pair",
        "version": 1,
        "judge": plan.endpoint.model,
        "server": plan.endpoint.base_url,
        "rubric": PAIR.fingerprint,
        "temperature": plan.endpoint.temperature,
        "seed": plan.seed,
        "images": images_said([talk for talk, _ in work.pairs], plan),
        "first": _who(work.first),
        "second": _who(work.second),
        "counts": judge.counts.to_json(),
        **pair_figures(compared, plan.seed),
        "dialogues": [one.to_json() for one in compared],
    }
    write_json(out, report)
    return report


def pair_figures(compared: Sequence[Compared], seed: int = 0) -> dict[str, Any]:
    """Wins and ties of both runs, and what order and length have to do with the verdicts.

    `flips`: share of conversations where another order names another run. `first_place`: share of A among the verdicts
    that name one, 0.5 for a judge without a preference. `longer_wins`: share of the wins that went to more words.
    """
    groups = [one.first.group for one in compared]
    winners = [one.winner for one in compared]

    def share(name: str) -> dict[str, Any]:
        return mean([None if one is None else float(one == name) for one in winners], groups, seed).to_json()

    named = [
        (float(verdict == "A"), one.first.group)
        for one in compared
        for verdict in (one.forward, one.backward)
        if verdict in ("A", "B")
    ]
    first_place = mean([value for value, _ in named], [group for _, group in named], seed)
    flips = mean([None if one.flips is None else float(one.flips) for one in compared], groups, seed)
    longer = [
        (float((one.first.words > one.second.words) == (one.winner == "first")), one.first.group)
        for one in compared
        if one.winner in ("first", "second") and one.first.words != one.second.words
    ]
    longer_wins = mean([value for value, _ in longer], [group for _, group in longer], seed)
    beside_half = None if first_place.low is None or first_place.high is None else (
        first_place.low > 0.5 or first_place.high < 0.5
    )  # fmt: skip
    return {
        "wins": {name: winners.count(name) for name in ("first", "second", "tie")},  # type: ignore[arg-type]
        "win_rate": {name: share(name) for name in ("first", "second", "tie")},
        "position": {"flips": flips.to_json(), "first_place": first_place.to_json(), "biased": beside_half},
        "length": {"longer_wins": longer_wins.to_json()},
    }


def _who(predictions: Predictions) -> Mapping[str, Any]:
    return {
        "model": predictions.about["model"],
        "history": predictions.about["history"],
        "predictions_sha256": predictions.sha256,
    }
