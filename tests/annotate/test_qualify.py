"""Candidates pass at four of five, the known masks stay away from them, and what is not given counts against them."""

from pathlib import Path

import pytest
from tests.annotate.conftest import block
from tests.annotate.drawing import mark

from miras.annotate.plan import Record
from miras.annotate.qualify import export_trial, score_trial
from miras.data.masks import encode
from miras.errors import ConfigError, DataError

TRUTH = block(2, 2, 5, 8)


@pytest.fixture
def known(records: list[Record]) -> list[Record]:
    """Five items with one mask each."""
    first = {**records[0], "mask": encode(TRUTH)}
    return [{**first, "focus": f"cup {n}"} for n in range(5)]


def test_four_of_five_pass(known: list[Record], images: Path, tmp_path: Path) -> None:
    trial = tmp_path / "trial"
    export_trial(known, trial, images, people=["ann", "bob", "cem"])
    good, enough, poor = TRUTH, block(2, 2, 4, 8), block(2, 2, 3, 8)  # IoU 1, 0.8, 0.6
    for person, masks in (
        ("ann", [good, good, enough, enough, poor]),
        ("bob", [good, good, good, poor, poor]),
        ("cem", [good, good, good]),
    ):
        mark(trial / "tasks" / person, "a.png", {f"cup {n}": drawn for n, drawn in enumerate(masks)})
    scores = score_trial(trial)
    assert [(score.person, score.targets, score.right, score.passed) for score in scores] == [
        ("ann", 5, 4, True), ("bob", 5, 3, False), ("cem", 5, 3, False),
    ]  # fmt: skip
    assert [score.iou for score in scores] == pytest.approx([4.2 / 5, 4.2 / 5, 3 / 5])
    assert [remark.kind for remark in scores[2].remarks] == ["missing", "missing"]
    assert [score.passed for score in score_trial(trial, iou=0.9, share=0.6)] == [False, True, True]
    for path in (trial / "tasks").rglob("*"):
        assert path.is_dir() or str(known[0]["mask"]["counts"]).encode() not in path.read_bytes()


def test_a_trial_that_cannot_be_is_refused(
    known: list[Record], records: list[Record], images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "trial"
    other = {**known[0], "mask": encode(block(0, 0))}
    small = {**known[0], "mask": encode(TRUTH[:6])}
    for rows, people, error, message in (
        (known, [], ConfigError, "at least one candidate"),
        (known, ["Ann"], ConfigError, "write ann"),
        ([], ["ann"], DataError, "at least one record"),
        (records, ["ann"], DataError, "record 0 has no mask to compare with"),
        ([*known, other], ["ann"], DataError, "record 5 has another mask for 'cup 0'"),
        ([small], ["ann"], DataError, "is 6 x 16 pixels, its image 12 x 16"),
    ):
        with pytest.raises(error, match=message):
            export_trial(rows, out, images, people=people)
        assert not out.exists()
    with pytest.raises(DataError, match=r"no trial\.json in"):
        score_trial(out)
    export_trial(known, out, images, people=["ann"])
    with pytest.raises(DataError, match="should be a new folder"):
        export_trial(known, out, images, people=["ann"])
    with pytest.raises(ConfigError, match=r"got 0 and 0\.8"):
        score_trial(out, iou=0)
    (out / "trial.json").write_text("[]")
    with pytest.raises(DataError, match="is no trial"):
        score_trial(out)
