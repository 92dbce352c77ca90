"""Plans: every image in one group, groups alike in size, the same for the same seed, names that make folders."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miras.annotate.plan import Item, Plan, Record, by_image, items, make_plan, read_plan, written
from miras.errors import ConfigError, DataError


def about(counts: list[int]) -> list[Record]:
    """So many records about each image."""
    return [{"img_id": f"{image}.jpg", "focus": f"{n}"} for image, count in enumerate(counts) for n in range(count)]


def plan_of(records: list[Record], groups: int, seed: int = 0, people: tuple[str, ...] = ()) -> Plan:
    sizes = {record["img_id"]: (5, 7) for record in records}
    return make_plan(records, sizes, groups=groups, seed=seed, people=people)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 6), st.integers(0, 9))
def test_every_image_is_in_one_group_and_the_groups_are_alike(counts: list[int], groups: int, seed: int) -> None:
    records = about(counts)
    if groups > len(counts):
        with pytest.raises(ConfigError, match=f"1 to {len(counts)}, the number of images, got {groups}"):
            plan_of(records, groups, seed)
        return
    plan = plan_of(records, groups, seed)
    placed = [image for group in plan.groups for image in group.images]
    assert sorted(placed) == sorted({record["img_id"] for record in records})
    held = [sum(counts[int(image.removesuffix(".jpg"))] for image in group.images) for group in plan.groups]
    assert max(held) - min(held) <= max(counts)
    assert plan == plan_of(records, groups, seed)


def test_heavy_images_are_spread_first() -> None:
    for seed in range(5):
        plan = plan_of(about([1] * 40 + [4] * 10), 4, seed)
        counts = [sum(4 if int(image.removesuffix(".jpg")) >= 40 else 1 for image in one.images) for one in plan.groups]
        assert counts == [20] * 4


def test_the_papers_two_numbers_of_groups() -> None:
    records = about([3] * 300)
    three = plan_of(records, 3)
    people = [name for group in three.groups for name in (*group.annotators, group.resolver)]
    assert len({*people, three.reviewer}) == 10  # appendix B.1
    assert [group.name for group in plan_of(records, 5).groups] == ["G1", "G2", "G3", "G4", "G5"]  # section 3.3
    assert three.groups[0].images != plan_of(records, 3, seed=1).groups[0].images


def test_people_are_named_group_by_group() -> None:
    plan = plan_of(about([1, 1]), 2, people=("ann", "bob", "cem", "dan", "eve", "fay", "rea"))
    assert [(group.annotators, group.resolver) for group in plan.groups] == [
        (("ann", "bob"), "cem"),
        (("dan", "eve"), "fay"),
    ]
    assert plan.reviewer == "rea"
    for people, message in (
        (("ann", "bob", "cem"), "1 groups need 4 people.*got 3"),
        (("Ann B.", "bob", "cem", "rea"), "got 'Ann B.'; write ann-b"),
        (("ann", "bob", "ann", "rea"), "got ann 2 times"),
    ):
        with pytest.raises(ConfigError, match=message):
            plan_of(about([1]), 1, people=people)


def test_the_authors_file_is_divided(shared_prist: Path) -> None:
    records = json.loads(shared_prist.read_text(encoding="utf-8"))
    plan = plan_of(records, 5)
    placed = [image for group in plan.groups for image in group.images]
    assert len(placed) == len(set(placed)) == 169
    assert len(items(records)) == 508 - 12  # 12 of them repeat an image and its focus
    held = [sum(record["img_id"] in group.images for record in records) for group in plan.groups]
    assert max(held) - min(held) <= 3


def test_what_is_marked_once() -> None:
    records = [{"img_id": "a.jpg", "focus": focus} for focus in ("a cup", "Cup", " a  cup\n", "a cup")]
    assert items(records) == {Item("a.jpg", "a cup"): [0, 2, 3], Item("a.jpg", "Cup"): [1]}
    assert by_image([*records, {"img_id": "b.jpg", "focus": "a cup"}])["b.jpg"] == {Item("b.jpg", "a cup"): [4]}


def test_images_that_would_share_a_file_are_refused() -> None:
    with pytest.raises(DataError, match=r"a\.jpg and x/a\.png would share one labelme file"):
        plan_of([{"img_id": "a.jpg", "focus": "x"}, {"img_id": "x/a.png", "focus": "x"}], 1)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = plan_of(about([1, 2, 3]), 2, seed=4)
    (tmp_path / "plan.json").write_text(json.dumps(written(plan)))
    assert read_plan(tmp_path) == plan
    for text in ("{", "[]", "{}", json.dumps({**written(plan), "groups": [{"name": "G1"}]})):
        (tmp_path / "plan.json").write_text(text)
        with pytest.raises(DataError, match="is no plan of `miras annotate export`"):
            read_plan(tmp_path)
    with pytest.raises(DataError, match=r"no plan\.json in"):
        read_plan(tmp_path / "none")
