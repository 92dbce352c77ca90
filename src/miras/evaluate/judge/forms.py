"""The forms that a judge fills in: figure 8's scores, and which of two conversations is better."""

from math import isfinite
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from miras.errors import ReplyRejected

__all__ = ["DIMENSIONS", "MOST", "Place", "Score", "Scores", "Verdict"]

_Name = Literal[
    "progression_score",
    "logical_coherence_score",
    "content_consistency_score",
    "focal_goal_relevance_score",
    "total_score",
]
Place = Literal["A", "B", "tie"]

DIMENSIONS = dict(zip(("PR", "LC", "CC", "TR"), get_args(_Name), strict=False))
"""Table 4's letters → figure 8's names, in figure 8's order."""
MOST = 5.0
"""The best score of a dimension; the worst is 0."""

_ROUNDING = 0.051
"""How far a total may be from the sum of its scores, which may have been rounded to one decimal."""


def _strict(schema: dict[str, Any]) -> None:
    """Every field is there and no other: what `strict` JSON schemas ask for."""
    schema["required"] = list(schema.get("properties", {}))
    schema["additionalProperties"] = False


class _Form(BaseModel):
    """One JSON object; a number in quotes is no number."""

    model_config = ConfigDict(json_schema_extra=_strict, strict=True)


class Score(_Form):
    """One line of figure 8's JSON."""

    name: _Name
    score: float = Field(description="0 to 5; total_score is the sum of the four")


class Scores(_Form):
    """Figure 8's JSON."""

    scores: list[Score]
    summary: str = Field(description="strengths and weaknesses, in two or three sentences")

    def check(self) -> None:
        """Each dimension exactly once and in 0..5. The total is not looked at. Raises ReplyRejected."""
        for name in DIMENSIONS.values():
            found = [one.score for one in self.scores if one.name == name]
            if len(found) != 1:
                rule = "twice" if found else "left out"
                raise ReplyRejected(f"{name} is needed exactly once, got it {len(found)} times", rule)
            if not 0 <= found[0] <= MOST:  # so it is for NaN
                raise ReplyRejected(f"{name} should lie in 0..{MOST:g}, got {found[0]:g}", "out of range")

    @property
    def marks(self) -> dict[str, float]:
        """Table 4's letters → score."""
        letters = {name: letter for letter, name in DIMENSIONS.items()}
        found = {letters[one.name]: one.score for one in self.scores if one.name in letters}
        return {letter: found[letter] for letter in DIMENSIONS}

    @property
    def total_is_right(self) -> bool:
        """Whether it gives one total, and that is the sum of the four."""
        totals = [one.score for one in self.scores if one.name == "total_score"]
        return len(totals) == 1 and isfinite(totals[0]) and abs(totals[0] - sum(self.marks.values())) <= _ROUNDING


class Verdict(_Form):
    """Which of two conversations is better."""

    reason: str = Field(description="why, in one or two sentences")
    verdict: Place
