"""Dist-1 and Dist-2, worked by hand."""

from miras.metrics.distinct import Distinct


def counted(*answers: str) -> Distinct:
    distinct = Distinct()
    for answer in answers:
        distinct.update(answer)
    return distinct


def test_hand_worked_figures() -> None:
    # a cat sat | the cat sat: 4 of 6 words; a cat, cat sat, the cat: 3 of 4 pairs, none across the two answers
    assert counted("A cat sat", "the  cat\nsat").compute() == {"dist_1": 4 / 6, "dist_2": 3 / 4}
    assert counted("cat. cat").compute() == {"dist_1": 1.0, "dist_2": 1.0}  # a full stop is part of its word


def test_nothing_to_count_is_none() -> None:
    assert counted().compute() == counted("", " \n").compute() == {"dist_1": None, "dist_2": None}
    assert counted("Yes", "yes").compute() == {"dist_1": 0.5, "dist_2": None}


def test_what_two_sets_share_counts_once() -> None:
    first, second = counted("a cat sat"), counted("a cat ran")
    assert (
        (first + second).compute() == counted("a cat sat", "a cat ran").compute() == {"dist_1": 4 / 6, "dist_2": 3 / 4}
    )
    assert first.compute() == {"dist_1": 1.0, "dist_2": 1.0}  # adding leaves both as they were
