"""Two annotators of known noise over 400 real masks: figures as others reckon them, noise settled, errors found.

Both draw every mask with its outline moved by 2.5 % of the side of a square of its area, a pixel at most (rms); one of
them then makes known gross errors. All of it goes through labelme files on disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, jaccard_score
from tests.annotate.drawing import correct, folder_of, mark, noisy, shifted
from tests.prist.conftest import turns

from miras.annotate.plan import Item, Record
from miras.annotate.project import Project, export
from miras.annotate.settle import Settled, settle
from miras.data.masks import box, decode, granularity
from miras.data.photos import load_photos
from miras.metrics.masks import mask_iou

KINDS = ("wrong", "absent", "left out", "shifted", "swapped")
Drawn = dict[Item, np.ndarray]


@dataclass(frozen=True)
class Scene:
    project: Project
    truth: Drawn
    first: Drawn
    second: Drawn


@pytest.fixture(params=[slice(200, 240), pytest.param(slice(400), marks=pytest.mark.slow)], ids=["40", "400"])
def made(request: pytest.FixtureRequest, shared_photos: Path, tmp_path: Path) -> Scene:
    """A project of so many masks and what the two annotators see, before any error."""
    things = [(photo, thing) for photo in load_photos(shared_photos, "val") for thing in photo.objects][request.param]
    talk = turns("What is there?", "See for yourself.", "Mark it.", "Sure, [SEG].")
    records: list[Record] = [{"img_id": photo.name, "dialogue": talk, "focus": thing.phrase} for photo, thing in things]
    project = export(records, tmp_path / "p", shared_photos / "images", groups=1, people=("ann", "bob", "cem", "rea"))
    truth = {Item(photo.name, thing.phrase): decode(thing.mask) for photo, thing in things}
    assert len(truth) == len(things) in (40, 400)
    rng = np.random.default_rng(0)
    first, second = ({item: noisy(mask, rng, _noise(mask)) for item, mask in truth.items()} for _ in range(2))
    return Scene(project, truth, first, second)


def _noise(mask: np.ndarray) -> float:
    return float(min(1.0, 0.025 * mask.sum() ** 0.5))


def save(project: Project, person: str, masks: Mapping[Item, np.ndarray]) -> None:
    for image in project.wanted:
        mark(
            folder_of(project, person), image, {item.label: mask for item, mask in masks.items() if item.image == image}
        )


def plant(truth: Drawn, drawn: Drawn) -> dict[Item, str]:
    """Makes gross errors in place, on every fourth item in turn, and returns what was done to which."""
    done: dict[Item, str] = {}
    for turn, item in enumerate(list(truth)[::4]):
        others = [at for at in truth if at.image == item.image and at != item and at not in done]
        apart = [at for at in others if mask_iou(truth[at], truth[item]) < 0.5]
        if item in done:
            continue
        kind = KINDS[turn % len(KINDS)]
        if kind == "swapped" and apart:
            drawn[item], drawn[apart[0]] = drawn[apart[0]], drawn[item]
            done[apart[0]] = kind
        elif kind == "wrong" and apart:
            drawn[item] = drawn[apart[0]].copy()
        elif kind in ("absent", "left out"):
            del drawn[item]
        else:
            kind = "shifted"
            left, top, right, bottom = box(truth[item]) or (0, 0, 0, 0)
            drawn[item] = shifted(drawn[item], max(4, (bottom - top) // 4), max(4, (right - left) // 4))
        done[item] = kind
    return done


def test_the_papers_kind_of_agreement_is_reckoned_as_others_do(made: Scene) -> None:
    save(made.project, "ann", made.first)
    save(made.project, "bob", made.second)
    settled = settle(made.project)
    (found,) = settled.report.agreements
    pairs = [(made.first[item], made.second[item]) for item in made.truth]
    figures = {name: figure.value for name, figure in found.figures.items()}
    both, either = zip(*(((a & b).sum(), (a | b).sum()) for a, b in pairs), strict=True)
    assert figures["iou"] == pytest.approx(np.mean([jaccard_score(a.ravel(), b.ravel()) for a, b in pairs]), abs=1e-9)
    assert figures["iou"] == pytest.approx(np.mean(np.array(both) / np.array(either)), abs=1e-9)
    assert figures["iou_pooled"] == pytest.approx(sum(both) / sum(either), abs=1e-9)
    firsts, seconds = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    assert figures["kappa_pixels"] == pytest.approx(cohen_kappa_score(firsts, seconds), abs=1e-9)
    assert figures["kappa_pixels"] == pytest.approx(plain_kappa(firsts, seconds), abs=1e-9)
    each = [cohen_kappa_score(a.ravel(), b.ravel()) for a, b in pairs]
    assert figures["kappa_mean"] == pytest.approx(np.mean(each), abs=1e-9)
    sizes = [[granularity(mask.mean()) for mask in side] for side in zip(*pairs, strict=True)]
    assert figures["kappa_items"] == pytest.approx(cohen_kappa_score(*sizes), abs=1e-9)
    assert_recovered(made, settled, list(made.truth))


def plain_kappa(first: np.ndarray, second: np.ndarray) -> float:
    agreed, marked, other = (first == second).mean(), first.mean(), second.mean()
    chance = marked * other + (1 - marked) * (1 - other)
    return float((agreed - chance) / (1 - chance))


def assert_recovered(made: Scene, settled: Settled, items: list[Item]) -> None:
    """At least 0.99 settled without a person, at an IoU with the truth of 0.8 and of the worse annotator."""
    masks = {decision.item: decision.mask for decision in settled.report.decisions}
    recovered = 0
    for item in items:
        if (mask := masks[item]) is not None:
            iou = mask_iou(decode(mask), made.truth[item])
            worse = min(mask_iou(made.first[item], made.truth[item]), mask_iou(made.second[item], made.truth[item]))
            recovered += iou >= max(0.8, worse)
    assert len(items) - recovered <= max(1, 0.01 * len(items)), f"{recovered} of {len(items)}"


def test_noise_is_settled_and_every_gross_error_is_found(made: Scene) -> None:
    wrong = dict(made.second)
    planted = plant(made.truth, wrong)
    counts = {kind: list(planted.values()).count(kind) for kind in set(planted.values())}
    assert set(counts) == set(KINDS) and len(planted) >= len(made.truth) / 4, counts
    save(made.project, "ann", made.first)
    save(made.project, "bob", wrong)
    for item, kind in planted.items():
        if kind == "absent":
            (number,) = made.project.wanted[item.image][item]
            correct(folder_of(made.project, "bob"), item.image, number, absent=True)
    settled = settle(made.project)
    rules = {decision.item: decision.rule for decision in settled.report.decisions}
    missed = {item: kind for item, kind in planted.items() if rules[item] in ("agree", "edge", "absent")}
    assert not missed
    needed = {(one.image, one.label) for one in settled.report.open()}
    assert set(planted) <= needed
    for kind, rule in (("absent", {"empty"}), ("left out", {"missing"})):
        assert {rules[item] for item, done in planted.items() if done == kind} == rule
    named = [rules[item] for item, kind in planted.items() if kind == "swapped"]
    assert named.count("swapped") >= 0.8 * len(named), named
    assert_recovered(made, settled, [item for item in made.truth if item not in planted])
