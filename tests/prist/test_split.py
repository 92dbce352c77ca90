"""Parts of a data set: exact sizes, no image in two of them, the same for the same seed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miras.errors import DataError
from miras.prist.split import merge, sample, split


def of_images(*counts: int) -> list[dict[str, Any]]:
    """So many records about each image, one image after the other."""
    return [{"img_id": f"{image}.jpg", "n": n} for image, count in enumerate(counts) for n in range(count)]


def test_the_papers_split_of_as_many_images() -> None:
    records = of_images(*([3] * 2760 + [1] * 40))  # 8,320 dialogues about 2,800 images
    sizes = {"train": 7312, "val": 500, "test": 508}
    parts = split(records, sizes, seed=0)
    assert {part: len(found) for part, found in parts.items()} == sizes
    images = [{record["img_id"] for record in found} for found in parts.values()]
    assert sum(map(len, images)) == len(set.union(*images)) == 2800
    assert parts == split(records, sizes, seed=0) != split(records, sizes, seed=1)
    order = [records.index(record) for record in parts["val"]]
    assert order == sorted(order)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(0, 40), st.integers(0, 9))
def test_a_part_comes_out_exactly_or_the_nearest_is_named(counts: list[int], size: int, seed: int) -> None:
    reachable = {0}
    for count in counts:
        reachable |= {total + count for total in reachable}
    records = of_images(*counts)
    if size in reachable:
        (found,) = split(records, {"part": size}, seed=seed).values()
        assert len(found) == size
        for image in {record["img_id"] for record in found}:
            assert [r for r in found if r["img_id"] == image] == [r for r in records if r["img_id"] == image]
    elif size > len(records):
        with pytest.raises(DataError, match=f"need {size} records together, got {len(records)}"):
            split(records, {"part": size}, seed=seed)
    else:
        nearest = max(total for total in reachable if total < size)
        with pytest.raises(DataError, match=f"exactly {size} records, {nearest} is the nearest below"):
            split(records, {"part": size}, seed=seed)


def test_merging_keeps_what_differs_in_a_word() -> None:
    one, other = {"img_id": "a", "focus": "cup"}, {"img_id": "a", "focus": "mug"}
    assert merge([[one, other], [one], [other, {**one, "n": 1}]]) == [one, other, {**one, "n": 1}]


def test_a_sample_is_its_seed() -> None:
    records = of_images(30)
    drawn = sample(records, 10, seed=3)
    assert drawn == sample(records, 10, seed=3) != sample(records, 10, seed=4)
    assert [record["n"] for record in drawn] == sorted({record["n"] for record in drawn})
    with pytest.raises(DataError, match="a sample of 31 needs 1 to 30 records"):
        sample(records, 31, seed=0)
