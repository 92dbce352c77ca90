"""What models are beside people: table 10 of the experts, their mean as the Human row, and table 4's win rates.

The human score of a conversation is the mean over all experts; a model wins it when its own score, the mean of the four
dimensions over all repeats, is strictly above (appendix C.4.3). Equal scores are ties and no wins. Where a score is
missing the conversation is left out and counted.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from miras.errors import ConfigError, DataError
from miras.evaluate.judge.figures import mean
from miras.evaluate.judge.judged import Judged, comparable
from miras.evaluate.judge.scores import COLUMNS, OVERALL
from miras.evaluate.judge.text import interval_text, number_text

__all__ = ["human_table", "table_text"]

_EQUAL = 1e-9
"""Means of the same scores may differ by so much in how they were added."""

_Rows = Mapping[str, Mapping[str, float | None]]


def human_table(experts: Sequence[Judged], models: Sequence[Judged], seed: int = 0) -> dict[str, Any]:
    """Rows of scores for experts, Human and models over the experts' conversations, and each model's wins.

    Raises ConfigError where the runs were not judged alike or answer other cases, DataError where the experts did not
    answer the same conversations or a model none of them.
    """
    if not experts:
        raise ConfigError("at least one expert is needed, got none; name the folders that `human import` wrote")
    comparable([*experts, *models])
    groups = dict(experts[0].groups)
    for expert in experts[1:]:
        if set(expert.scores) != set(groups):
            raise DataError(f"{experts[0].path} and {expert.path} hold other conversations; judge all of each")
    human = {name: _human(name, experts) for name in groups}
    rows = {"experts": [{"name": one.model, **_row(one.scores, groups, seed)} for one in experts]}
    return {
        "judge": experts[0].about["judge"],
        "conversations": len(groups),
        **rows,
        "human": _row(human, groups, seed),
        "models": [_model(model, experts, human, groups, seed) for model in models],
    }


def _human(name: str, experts: Sequence[Judged]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for column in COLUMNS:
        values = [value for expert in experts if (value := expert.scores[name][column]) is not None]
        found[column] = statistics.fmean(values) if len(values) == len(experts) else None
    return found


def _row(scores: _Rows, groups: Mapping[str, str], seed: int) -> dict[str, Any]:
    images = list(groups.values())
    return {
        column: mean([scores[name][column] if name in scores else None for name in groups], images, seed).to_json()
        for column in COLUMNS
    }


def _model(
    model: Judged, experts: Sequence[Judged], human: _Rows, groups: Mapping[str, str], seed: int
) -> dict[str, Any]:
    asked = {experts[0].about.get("cases_sha256"), experts[0].about.get("drawn_from_sha256")} - {None}
    if model.about.get("cases_sha256") not in asked:
        raise ConfigError(f"{model.path} answers other cases than those given to people; judge a run on the same file")
    if not set(model.scores) & set(groups):
        raise DataError(f"{model.path} holds none of the {len(groups)} conversations that people answered; judge them")
    above = []
    for name in groups:
        own, theirs = model.scores.get(name, {}).get(OVERALL), human[name][OVERALL]
        above.append(None if own is None or theirs is None else own - theirs)
    wins = [None if one is None else one > _EQUAL for one in above]
    rate = mean([None if one is None else float(one) for one in wins], list(groups.values()), seed)
    return {
        "name": model.model,
        **_row(model.scores, groups, seed),
        "wins": sum(one is True for one in wins),
        "ties": sum(one is not None and abs(one) <= _EQUAL for one in above),
        "losses": sum(one is not None and one < -_EQUAL for one in above),
        "missing": sum(one is None for one in above),
        "win_rate": rate.to_json(),
    }


def table_text(table: Mapping[str, Any]) -> str:
    """Tables 10 and 4 as Markdown, with a 95 % interval beside each win rate and the mean of the four."""
    lines = [f"{table['conversations']} conversations, judged by {table['judge']}", ""]
    lines += ["| | PR | LC | CC | TR | mean |", "|---|---|---|---|---|---|"]
    lines += [_line(row["name"], row) for row in table["experts"]]
    lines.append(_line("Human", table["human"]))
    if table["models"]:
        lines += ["", "| | PR | LC | CC | TR | mean | win rate (%) | wins | ties | losses | missing |"]
        lines += ["|---|---|---|---|---|---|---|---|---|---|---|", f"{_line('Human', table['human'])} – | | | | |"]
    for row in table["models"]:
        share = row["win_rate"]
        rate = {name: None if share[name] is None else 100 * share[name] for name in ("value", "low", "high")}
        counts = " | ".join(str(row[name]) for name in ("wins", "ties", "losses", "missing"))
        lines.append(f"{_line(row['name'], row)} {interval_text(rate, 1)} | {counts} |")
    return "\n".join(lines)


def _line(name: str, row: Mapping[str, Any]) -> str:
    cells = [number_text(row[column]["value"]) for column in COLUMNS[:-1]]
    return f"| {' | '.join([name.replace('|', '/'), *cells, interval_text(row[OVERALL])])} |"
