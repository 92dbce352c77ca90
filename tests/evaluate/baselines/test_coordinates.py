"""Coordinates: which system a run is in, read off its boxes, and where a box lies in the original image."""

import numpy as np
import pytest

from miras.errors import ConfigError
from miras.evaluate.baselines.boxes import Box
from miras.evaluate.baselines.coordinates import Reading, Seen, decide, in_pixels

SENT, ORIGINAL = (50, 100), (100, 200)  # height and width: sent at half the size


def _reading(system: str) -> Reading:
    return decide([], system)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("system", "corners"),
    [
        ("pixels", (10, 5, 60, 25)),
        ("unit", (0.1, 0.1, 0.6, 0.5)),
        ("thousand", (100, 100, 600, 500)),
        ("auto", (0.1, 0.1, 0.6, 0.5)),
    ],
)
def test_one_place_in_each_system(system: str, corners: tuple[float, float, float, float]) -> None:
    assert in_pixels(Box(corners), _reading(system), SENT, ORIGINAL) == pytest.approx((20, 10, 120, 50))


def test_percent_signs_count_whatever_the_system() -> None:
    box = Box((10, 10, 60, 50), percent=True)
    for system in ("pixels", "unit", "thousand", "auto"):
        assert in_pixels(box, _reading(system), SENT, ORIGINAL) == pytest.approx((20, 10, 120, 50))


def test_boxes_are_cut_to_the_image() -> None:
    assert in_pixels(Box((-50, 10, 5000, 20)), _reading("pixels"), SENT, ORIGINAL) == (0, 20, 200, 40)
    assert in_pixels(Box((1e300, 1e300, 1e308, 1e308)), _reading("unit"), SENT, ORIGINAL) == (200, 100, 200, 100)


def _boxes(count: int, seed: int, *, width: float, height: float, size: tuple[int, int]) -> list[Seen]:
    """Boxes whose corners are spread over so many units of the image."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        x1, x2 = sorted(rng.uniform(0, width, 2).round())
        y1, y2 = sorted(rng.uniform(0, height, 2).round())
        made.append(Seen(Box((x1, y1, x2, y2)), size))
    return made


@pytest.mark.parametrize("size", [(4, 4), (300, 450), (768, 1024), (900, 900), (1500, 2000), (3000, 4000)])
@pytest.mark.parametrize("seed", range(5))
def test_pixels_and_thousandths_are_told_apart(size: tuple[int, int], seed: int) -> None:
    height, width = size
    thousandths = decide(_boxes(60, seed, width=1000, height=1000, size=size))
    assert thousandths.system == "thousand" and thousandths.boxes == 60 and (thousandths.log_odds or 0) > 3
    assert decide(_boxes(60, seed, width=width, height=height, size=size)).system == "pixels"


def test_a_stray_corner_changes_nothing() -> None:
    boxes = _boxes(40, 0, width=450, height=300, size=(300, 450))
    assert decide([*boxes, Seen(Box((0, 0, 460, 310)), (300, 450))]).system == "pixels"
    assert decide([*_boxes(40, 0, width=1000, height=1000, size=(300, 450)), boxes[0]]).system == "thousand"


def test_what_cannot_be_told_is_not_guessed() -> None:
    with pytest.raises(ConfigError, match=r"1 boxes do not tell .* start again with --coordinates pixels or"):
        decide([Seen(Box((1, 2, 30, 40)), (999, 1001))])
    assert decide([Seen(Box((1, 2, 30, 40)), (999, 1001))], "thousand").system == "thousand"
    assert decide([]) == Reading("auto", None)


def test_what_tells_by_itself_does_not_count() -> None:
    shares, percent = Seen(Box((0.1, 0, 0.5, 1)), SENT), Seen(Box((1, 2, 3, 4), percent=True), SENT)
    reading = decide([shares, shares, percent])
    assert reading == Reading("auto", None, percent=1, unit=2)
    # 0 and 1 alone may be pixels
    assert decide([Seen(Box((0, 0, 1, 1)), SENT)] * 9).system == "pixels"
    assert decide([shares, percent], "unit") == Reading("unit", "unit", 1, percent=1)
