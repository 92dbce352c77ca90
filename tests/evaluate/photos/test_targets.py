"""Seeded choices among the targets of a split."""

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from miras.data.photos import Photo, PhotoObject
from miras.evaluate.photos.targets import PhotoCase, all_cases, seeded_subset, stratified

SHARES = {"fine": 0.001, "medium": 0.01, "coarse": 0.5}


def photo(name: str, source: str, sizes: list[str]) -> Photo:
    objects = tuple(
        PhotoObject(f"thing {place}", "thing", {"size": [2, 2], "counts": "04"}, SHARES[size])
        for place, size in enumerate(sizes)
    )
    return Photo(Path(name), objects, source)


def test_cases_are_numbered_as_the_rows_of_the_file(photos: list[Photo]) -> None:
    cases = all_cases(photos)
    assert [(case.index, case.photo_index, case.target.class_name) for case in cases] == [
        (0, 0, "cat"), (1, 0, "ball"), (2, 1, "dog"), (3, 1, "tail"), (4, 2, "button"), (5, 2, "shirt")
    ]  # fmt: skip
    assert cases[4].labels == {"by_size": "fine", "by_source": "clothes", "parts": "part"}


def test_subset_keeps_the_phrases_of_a_photo_together() -> None:
    cases = all_cases([photo(str(place), "s", ["fine"] * 3) for place in range(20)])
    chosen = seeded_subset(cases, 10, np.random.default_rng(0))
    assert [case.index for case in chosen] == sorted(case.index for case in chosen)
    assert sorted(Counter(case.photo_index for case in chosen).values()) == [1, 3, 3, 3]
    assert chosen == seeded_subset(cases, 10, np.random.default_rng(0))
    assert chosen != seeded_subset(cases, 10, np.random.default_rng(1))
    assert seeded_subset(cases, None, np.random.default_rng(0)) == cases


def strata_of(cases: list[PhotoCase]) -> Counter[tuple[str, str]]:
    return Counter((case.labels["by_size"], case.labels["by_source"]) for case in cases)


def test_largest_remainder_by_hand() -> None:
    # 5, 3 and 2 of 10: 4 seats are 2, 1.2 and 0.8, so the last seat goes to the third stratum.
    cases = all_cases([photo("a", "s", ["coarse"] * 5 + ["fine"] * 3), photo("b", "t", ["fine"] * 2)])
    chosen = stratified(cases, 4, np.random.default_rng(0))
    assert strata_of(chosen) == {("coarse", "s"): 2, ("fine", "s"): 1, ("fine", "t"): 1}
    assert stratified(cases, 99, np.random.default_rng(0)) == cases


@given(st.lists(st.tuples(st.sampled_from("stu"), st.sampled_from(sorted(SHARES))), max_size=40), st.integers(0, 40))
def test_each_stratum_gets_its_share_to_within_one(kinds: list[tuple[str, str]], count: int) -> None:
    cases = all_cases([photo(str(place), source, [size]) for place, (source, size) in enumerate(kinds)])
    chosen = stratified(cases, count, np.random.default_rng(3))
    assert len(chosen) == len({case.index for case in chosen}) == min(count, len(cases))
    sizes, seats = strata_of(cases), strata_of(chosen)
    assert all(abs(seats[key] - min(count, len(cases)) * sizes[key] / len(cases)) < 1 for key in sizes)
