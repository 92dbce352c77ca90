"""The tree of errors: what is drawn is what is there."""

import re

import pytest

from miras import errors

DRAWN = re.findall(r"^(?P<bars>[│├└─ ]*)(?P<name>[A-Z]\w+)", (errors.__doc__ or "").split("::")[1], re.MULTILINE)


def test_the_drawing_names_every_error_once() -> None:
    names = [name for _, name in DRAWN]
    assert sorted(names) == sorted(errors.__all__)


def test_parents_are_as_drawn() -> None:
    above: dict[int, str] = {}
    for bars, name in DRAWN:
        depth = (len(bars) - 4) // 4
        above[depth] = name
        expected = above[depth - 1] if depth else "Exception"
        assert getattr(errors, name).__bases__[0].__name__ == expected, name


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_can_be_caught_as_one_of_ours_and_says_what_it_is_for(name: str) -> None:
    kind = getattr(errors, name)
    assert kind.__doc__.endswith(".")
    with pytest.raises(errors.MirasError, match="what came"):
        raise kind("what came")
