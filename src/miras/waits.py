"""How long to wait before a server is asked again."""

import random

__all__ = ["wait_before_next"]


def wait_before_next(attempt: int, asked_for: str | None, longest: float) -> float:
    """Seconds to wait after attempt `attempt`, counted from 0, has failed; `asked_for` is the header Retry-After.

    Where that holds no number of seconds it is half to the whole of 0.5 s, 1 s, 2 s …, drawn so that many who fail
    together do not come back together. Never more than `longest`.
    """
    try:
        return min(longest, max(0.0, float(asked_for or "")))
    except ValueError:
        return min(longest, 0.5 * 2**attempt) * random.uniform(0.5, 1.0)
