"""What an engine counts, by names that Prometheus can keep."""

from collections import Counter, deque

import numpy as np

__all__ = ["Figures"]

_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
_RECENT = 512


class Figures:
    """Counters, written by the engine's thread and read by any. Names that end in `_total` only grow."""

    def __init__(self) -> None:
        self._counted = Counter[str]()
        self._recent = deque[float](maxlen=_RECENT)

    def add(self, name: str, amount: float = 1) -> None:
        """Count something."""
        self._counted[name] += amount  # type: ignore[assignment]

    def first_word(self, seconds: float) -> None:
        """A question's first word came after so many seconds, waiting included."""
        self._recent.append(seconds)
        self.add("first_words_total")
        self.add("first_word_seconds_total", seconds)
        for bound in _SECONDS:
            if seconds <= bound:
                self.add(_within(bound))

    def step(self, rows: int, tokens: int) -> None:
        """A step wrote so many tokens for so many answers."""
        self.add("steps_total")
        self.add(f"steps_of_{rows}_total")
        self.add("tokens_total", tokens)

    def read(self) -> dict[str, float]:
        """All of them, those that are still 0 included."""
        names = (
            "answers_total", "cancelled_total", "failed_total", "words_total", "tokens_total", "steps_total",
            "first_words_total", "first_word_seconds_total", "prefix_hits_total", "prefix_misses_total",
            "prefix_turns_total", "prefix_tokens_total", *map(_within, _SECONDS),
        )  # fmt: skip
        recent = list(self._recent) or [0.0]
        shares = {f"first_word_seconds_p{share}": float(np.percentile(recent, share)) for share in (50, 90, 99)}
        return {**dict.fromkeys(names, 0.0), **{k: float(v) for k, v in list(self._counted.items())}, **shares}


def _within(bound: float) -> str:
    return f"first_words_within_{bound * 1000:.0f}_ms_total"
