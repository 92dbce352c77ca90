"""A run of an evaluation as a folder: what was asked, what was answered, and all that was made of it."""

__all__ = ["ABLATION", "CASES", "FIGURES", "JUDGE", "PREDICTIONS", "TARGETS"]

ABLATION = "ablation.json"
"""The table of an ablation, in place of a run."""
CASES = "cases.jsonl"
"""What was asked, see `cases`."""
PREDICTIONS = "predictions.jsonl"
"""What was answered, see `predictions`."""
FIGURES = "figures.json"
"""Every figure with its interval, see `score`."""
TARGETS = "targets.jsonl"
"""One line per scored target: its pixels right, wrong and missed."""
JUDGE = "judge.json"
"""The scores of a judge, see `judge`."""
