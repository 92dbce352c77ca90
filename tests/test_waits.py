"""Waits: what a server asks for, else longer each time, never too long."""

import pytest

from miras.waits import wait_before_next


def test_what_the_server_asks_for_counts() -> None:
    assert wait_before_next(5, "0.05", 60) == 0.05
    assert wait_before_next(0, "3600", 60) == 60
    assert wait_before_next(0, "-1", 60) == 0


@pytest.mark.parametrize("header", [None, "", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_without_seconds_it_is_longer_each_time(header: str | None) -> None:
    for attempt, most in ((0, 0.5), (1, 1.0), (2, 2.0), (20, 60.0)):
        assert all(most / 2 <= wait_before_next(attempt, header, 60) <= most for _ in range(50))
