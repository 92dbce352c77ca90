"""The prompts of each step, in `prompts/*.md`."""

from miras.llm.prompts import Prompts

__all__ = ["PROMPTS", "STEPS"]

STEPS = ("elements", "question", "score", "tree", "dialogue", "feedback")
"""The steps, in order."""
PROMPTS = Prompts("miras.generate", STEPS)
"""One prompt for each step."""
