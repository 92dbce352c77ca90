"""Everything that is wrong with a file is found, counted and comes with a remedy; nothing crashes the check."""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.prist.conftest import HEIGHT, WIDTH, block

from miras.data.labelme import Labelled, mask_shape, written
from miras.data.masks import encode
from miras.errors import DataError
from miras.prist.check import check

Write = Callable[..., Path]


def test_the_authors_file(shared_prist: Path) -> None:
    found = check(shared_prist)
    assert (found.records, found.usable) == (508, 508)
    expected = {"duplicate": 12, "collision": 8, "non-ASCII turn": 67, "non-ASCII focus": 15, "space": 1}
    assert dict(found.counts) == expected
    assert all(finding.remedy and not finding.fatal for finding in found.findings)


def test_a_good_file_has_no_findings(prist_file: Write, records: list[Any], images: Path) -> None:
    plain = [record for record in records if record["img_id"] == "a.png"]
    for record in plain:
        record["dialogue"][3]["value"] = "The left one."
    found = check(prist_file(*plain), images=images)
    assert found.findings == ()
    assert found.usable == 2


def test_odd_things_are_told_and_the_records_stay_usable(prist_file: Write, records: list[Any]) -> None:
    first, street, second = records
    second["focus"] = "blue cup "
    street["dialogue"] = street["dialogue"][-2:]
    street["dialogue"][0]["value"] = "Mark the Straße."
    found = check(prist_file(first, street, second, copy.deepcopy(first)))
    assert found.usable == found.records == 4
    kinds = {(finding.index, finding.kind) for finding in found.findings}
    assert kinds == {
        (0, "non-ASCII turn"), (1, "non-ASCII turn"), (1, "non-ASCII focus"), (1, "turns"), (1, "named"),
        (2, "non-ASCII turn"), (2, "space"), (3, "non-ASCII turn"), (3, "duplicate"),
    }  # fmt: skip
    (same,) = (finding for finding in found.findings if finding.kind == "duplicate")
    assert "those of record 0, with the same dialogue; keep one" in str(same)


def test_a_name_inside_another_is_a_collision_on_one_image_alone(prist_file: Write, records: list[Any]) -> None:
    first, street, second = records
    first["focus"], street["focus"], second["focus"] = "Cup", "red cup", "red  cup"
    (found,) = (finding for finding in check(prist_file(*records)).findings if finding.kind == "collision")
    assert found.index == 0 and "'cup' is part of 'red cup', the focus of record 2" in found.text


def test_missing_images_and_masks_make_a_record_unusable(
    prist_file: Write, records: list[Any], images: Path, tmp_path: Path
) -> None:
    first, street, second = records
    (images / "b.png").write_bytes(b"no image")
    second["mask"] = encode(block(0, 0)[:4])
    del first["mask"], street["mask"]
    masks = tmp_path / "masks"
    masks.mkdir()
    shape = mask_shape("blue cup ", block(0, 0))
    assert shape is not None
    (masks / "a.json").write_text(json.dumps(written(Labelled("a.png", HEIGHT, WIDTH, (shape,)))))
    found = check(prist_file(first, street, second), images=images, masks=masks)
    fatal = {(finding.index, finding.kind): finding.text for finding in found.findings if finding.fatal}
    assert found.usable == 0
    assert set(fatal) == {(0, "mask"), (1, "image"), (1, "mask"), (2, "mask")}
    assert fatal[0, "mask"] == "no shape is labelled exactly 'blue cup', there are ['blue cup ']"
    assert fatal[2, "mask"] == "its mask is 4 x 8 pixels, its image 6 x 8"


def test_every_broken_rule_of_a_record_is_told_at_once(prist_file: Write, records: list[Any]) -> None:
    records[0] |= {"img_id": "../a.png", "focus": "[SEG]", "mask": {"size": [2, 2], "counts": "0"}}
    records[1]["mask"] = encode(block(0, 0) & False)
    records[2]["dialogue"].append({"from": "human", "value": "And [OBJ]?"})
    found = check(prist_file(*records))
    assert [(finding.index, finding.kind) for finding in found.findings if finding.fatal] == [
        (0, "schema"), (0, "tokens"), (0, "mask"), (1, "mask"), (2, "segmentation"), (2, "tokens"),
    ]  # fmt: skip
    assert found.usable == 0
    with pytest.raises(DataError, match="no PRIST file"):
        check("none.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def mutated(content: Any, seed: int, values: list[Any]) -> Any:
    """The content with some of its values dropped, doubled or put in the place of others."""
    rng = random.Random(seed)
    for value in values:
        place = content
        while isinstance(place, dict | list) and place:
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            inner = place[key]
            if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
                place = inner
                continue
            if rng.random() < 0.3:
                del place[key]
            else:
                place[key] = value
            break
    return content


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), values=st.lists(JSON, min_size=1, max_size=6))
def test_no_mutated_file_crashes_the_check(
    seed: int, values: list[Any], records: list[Any], images: Path, prist_file: Write
) -> None:
    path = prist_file(*mutated(copy.deepcopy(records), seed, values))
    found = check(path, images=images, masks=images)
    assert 0 <= found.usable <= found.records
    assert all(finding.text and finding.remedy for finding in found.findings)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 1500), noise=st.binary(max_size=4))
def test_no_broken_bytes_crash_the_check(cut: int, noise: bytes, records: list[Any], prist_file: Write) -> None:
    path = prist_file(*records)
    content = path.read_bytes()
    path.write_bytes(content[:cut] + noise + content[cut + len(noise) :])
    try:
        found = check(path)
    except DataError as error:
        assert path.name in str(error)
    else:
        assert found.usable <= found.records
