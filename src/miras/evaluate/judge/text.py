"""Reports of a judge as lines of text, for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from miras.evaluate.judge.scores import COLUMNS

__all__ = ["interval_text", "judge_text", "number_text", "pair_text"]


def number_text(value: float | None, digits: int = 2) -> str:
    """A number with so many digits, a dash where it is not known."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval_text(figure: Mapping[str, Any], digits: int = 2) -> str:
    """`3.76 (3.60 to 3.91)`."""
    value = number_text(figure["value"], digits)
    if figure["low"] is None:
        return value
    return f"{value} ({number_text(figure['low'], digits)} to {number_text(figure['high'], digits)})"


def judge_text(report: Mapping[str, Any]) -> str:
    """Scores, what went wrong, and what the checks found."""
    images = report["images"]
    seen = f"{images['shown']} with their image, {images['not_shown']} without"
    lines = [f"{report['model']} judged by {report['judge']}: {len(report['dialogues'])} conversations, {seen}"]
    for column in COLUMNS:
        figure = report["scores"][column]
        lines.append(
            f"  {column:<8}{interval_text(figure)}   spread over repeats {number_text(figure['spread'])}, "
            f"{figure['missing']} missing"
        )
    lines.append(f"  every score at its top: {_percent(report['scores']['at_top'])} of the conversations")
    lines.append(f"  longer answers, better scores (Spearman): {interval_text(report['length']['spearman'])}")
    lines += _counts(report["counts"])
    checks = report["checks"]
    if "order" in checks:
        first = checks["order"]["by_place"][0]
        lines.append(f"order: named first, a dimension gains {interval_text(first)}{_verdict(checks['order'])}")
    if "padding" in checks:
        padding = checks["padding"]
        lines.append(
            f"padding: {number_text(padding['times_longer'], 1)} times the words gain "
            f"{interval_text(padding['rise'])}{_verdict(padding)}"
        )
    for name in ("shuffled", "foreign", "emptied") if "planted" in checks else ():
        planted = checks["planted"][name]
        lines.append(
            f"planted, {name}: the true answers score higher in {_percent(planted['higher']['value'])} of "
            f"{planted['higher']['n']}, {planted['ties']} ties; by {interval_text(planted['above'])}"
        )
    return "\n".join(lines)


def pair_text(report: Mapping[str, Any]) -> str:
    """Who wins how often, and what order and length have to do with it."""
    wins, rates, position = report["wins"], report["win_rate"], report["position"]
    first, second = report["first"]["model"], report["second"]["model"]
    missing = len(report["dialogues"]) - sum(wins.values())
    return "\n".join(
        [
            f"{first} and {second} compared by {report['judge']}: {len(report['dialogues'])} conversations",
            f"  {first} wins {wins['first']}: {interval_text(rates['first'])}",
            f"  {second} wins {wins['second']}: {interval_text(rates['second'])}",
            f"  ties {wins['tie']}, missing {missing}",
            f"  verdicts that another order turns round: {_percent(position['flips']['value'])}",
            f"  verdicts for first place: {interval_text(position['first_place'])}{_verdict(position)}",
            f"  wins of the longer answers: {interval_text(report['length']['longer_wins'])}",
            *_counts(report["counts"]),
        ]
    )


def _counts(counts: Mapping[str, Any]) -> Sequence[str]:
    rules = ", ".join(f"{rule} {number}" for rule, number in counts["missing_by_rule"].items())
    return [
        f"  {counts['asked']} questions, {counts['unparsable']} unusable replies, {counts['asked_again']} asked again, "
        f"{counts['missing']} without an answer{f' ({rules})' if rules else ''}, {counts['wrong_totals']} wrong totals"
    ]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _verdict(check: Mapping[str, Any]) -> str:
    return {None: "", True: ": biased", False: ": no bias to be seen"}[check["biased"]]
