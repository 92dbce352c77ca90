"""The photo protocol: masks asked for directly and at the end of a conversation, short answers, controls.

Everything is drawn from one seed (plan), asked in rolling batches (predict) and scored by sums (metrics);
docs/protocol.md defines each figure.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from miras.data.photos import Photo, load_photos
from miras.evaluate.photos.answers import answer_figures
from miras.evaluate.photos.controls import centre_box_giou, other_phrase
from miras.evaluate.photos.plan import Plan, make_plan, make_tasks
from miras.evaluate.photos.targets import PhotoCase
from miras.evaluate.predict import AskMany, Chat, predict
from miras.evaluate.replies import reply_figures
from miras.files import write_json
from miras.metrics.masks import Strata, count_all
from miras.provenance import versions, weights_hash
from miras.types import Dialogue, Rle, Said

__all__ = ["evaluate_photos", "first_mask", "run_photos"]

_Replies = tuple[Said, ...]
_Results = Mapping[str, Mapping[int, _Replies]]
"""Part of the protocol to index to the replies of that dialogue."""


def run_photos(
    data: str | Path,
    split: str,
    out: str | Path,
    model: str = "nano",
    limit: int | None = None,
    seed: int = 0,
    *,
    batch_size: int = 16,
) -> dict[str, Any]:
    """Evaluate a model by name or folder on a split of annotated photos; write one JSON and print its main figures.

    `limit` evaluates a seeded subset of that many targets. Returns what was written.
    """
    from miras import Miras  # the model and its libraries load only when there is something to ask
    from miras.model.session import ask_many

    out = Path(out)
    _check_writable(out)
    photos = load_photos(data, split)
    chat = Miras.from_pretrained(model, merge_lora=True)
    figures = evaluate_photos(chat, photos, ask_many=ask_many, seed=seed, limit=limit, batch_size=batch_size)
    figures["protocol"] |= {"model": model, "weights_sha256": weights_hash(chat), "split": split}
    write_json(out, figures)
    Console().print(_table(figures))
    return figures


def evaluate_photos(
    chat: Chat,
    photos: Sequence[Photo],
    *,
    ask_many: AskMany,
    seed: int = 0,
    limit: int | None = None,
    batch_size: int = 16,
) -> dict[str, Any]:
    """Every figure of the protocol for a model that is already loaded."""
    started = time.perf_counter()
    plan = make_plan(photos, seed=seed, limit=limit)
    results: dict[str, dict[int, _Replies]] = {}
    for task, replies in predict(chat, make_tasks(plan), ask_many=ask_many, batch_size=batch_size):
        results.setdefault(task.part, {})[task.index] = replies
    figures = _figures(plan, results, seed)
    seconds = {
        part: round(sum(said.seconds or 0.0 for replies in done.values() for said in replies), 1)
        for part, done in sorted(results.items())
    }
    seconds["total"] = round(time.perf_counter() - started, 1)
    figures["protocol"] = {
        "seed": seed,
        "limit": limit,
        "history": "own",
        "batch_size": batch_size,
        "versions": versions(),
        "counts": _counts(plan, results),
        "seconds": seconds,
    }
    return figures


def first_mask(replies: Sequence[Said]) -> Rle | None:
    """The first mask of the last reply, the one that is scored; None where nothing was marked."""
    return replies[-1].masks[0].mask if replies[-1].masks else None


def _score(cases: Iterable[PhotoCase], replies: Mapping[int, _Replies]) -> dict[str, Any]:
    """Mask figures over the cases and over their strata."""
    strata, cases = Strata(), list(cases)
    counted = count_all((first_mask(replies[case.index]), case.target.mask) for case in cases)
    for case, one in zip(cases, counted, strict=True):
        strata.update(one, case.labels)
    return strata.compute()


def _figures(plan: Plan, results: _Results, seed: int) -> dict[str, Any]:
    none: dict[int, _Replies] = {}
    direct, talked = results["direct"], results.get("multi_turn", none)
    answers, blank = results.get("answers", none), results.get("blank", none)
    multi_turn = _score(plan.conversing, talked)
    same_targets = _score(plan.conversing, direct)["giou"]
    multi_turn |= {"direct_giou": same_targets, "ratio": _ratio(multi_turn["giou"], same_targets)}
    without = _score(plan.conversing, results.get("no_history", none))["giou"]
    return {
        "direct": _score(plan.cases, direct),
        "multi_turn": multi_turn,
        "format": reply_figures(_with_truth(plan, direct, talked, answers)),
        "answers": answer_figures(
            plan.asked,
            [answers[place][0].text for place in range(len(plan.asked))],
            [blank[place][0].text for place in range(len(plan.asked))],
        ),
        "controls": {
            **other_phrase(plan.cases, {index: first_mask(replies) for index, replies in direct.items()}, seed=seed),
            "no_history": without,
            "no_history_ratio": _ratio(without, multi_turn["giou"]),
            "centre_box": centre_box_giou(plan.cases),
            "alignment_bypassed": _score(plan.conversing, results.get("bypassed", none))["giou"],
            "alignment_bypassed_direct": same_targets,
        },
    }


def _with_truth(
    plan: Plan, direct: Mapping[int, _Replies], talked: Mapping[int, _Replies], answers: Mapping[int, _Replies]
) -> Iterator[tuple[Dialogue, _Replies]]:
    """Every dialogue of these parts with the replies to it."""
    yield from ((plan.direct[index], replies) for index, replies in direct.items())
    yield from ((plan.conversations[index], replies) for index, replies in talked.items())
    yield from ((plan.asked[place].dialogue, replies) for place, replies in answers.items())


def _ratio(figure: float | None, base: float | None) -> float | None:
    return figure / base if figure is not None and base else None


def _counts(plan: Plan, results: _Results) -> dict[str, int]:
    everything = [replies for done in results.values() for replies in done.values()]
    return {
        "photos": len({case.photo_index for case in plan.cases}),
        "targets": len(plan.cases),
        "multi_turn": len(plan.conversing),
        "multi_turn_possible": plan.possible,
        "answers": len(plan.asked),
        "turns": sum(map(len, everything)),
        "empty_answers": sum(said.text == "" for replies in everything for said in replies),
        "several_masks": sum(len(replies[-1].masks) > 1 for replies in everything),
    }


def _table(figures: Mapping[str, Any]) -> Table:
    table = Table("figure", "value", "beside it", title="photos")
    direct, multi, form = figures["direct"], figures["multi_turn"], figures["format"]
    answers, controls = figures["answers"], figures["controls"]
    table.add_row("direct gIoU", _text(direct["giou"]), f"cIoU {_text(direct['ciou'])}, {direct['n']} targets")
    for size, stratum in direct.get("by_size", {}).items():
        table.add_row(f"  {size} gIoU", _text(stratum["giou"]), f"{stratum['n']} targets")
    table.add_row("multi-turn gIoU", _text(multi["giou"]), f"direct, same targets {_text(multi['direct_giou'])}")
    table.add_row("well-formed masks", _text(form["seg_rate"]), f"unasked masks {_text(form['false_seg_rate'])}")
    beside = f"blank image {_text(answers['blank_image'])}, majority {_text(answers['majority'])}"
    table.add_row("answers", _text(answers["accuracy"]), beside)
    table.add_row("other phrase", _text(controls["other_phrase"]), f"direct {_text(controls['other_phrase_direct'])}")
    table.add_row("no history", _text(controls["no_history"]), f"with history {_text(multi['giou'])}")
    table.add_row("centre box", _text(controls["centre_box"]), f"direct {_text(direct['giou'])}")
    table.add_row("alignment bypassed", _text(controls["alignment_bypassed"]), f"direct {_text(multi['direct_giou'])}")
    return table


def _text(figure: float | None) -> str:
    return "none" if figure is None else f"{figure:.3f}"


def _check_writable(path: Path) -> None:
    """Make the folder of `path`, so that a long run does not fail when it comes to write. Raises OSError."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name the JSON file to write, for example {path / 'photos.json'}")
    path.parent.mkdir(parents=True, exist_ok=True)
