"""Pairs of answers for tests of text figures: real ones where they are at hand, and the odd ones."""

import json
import random
from pathlib import Path

__all__ = ["ODD", "Pair", "answers_of", "mixed"]

Pair = tuple[str, str]
"""A reference answer and a generated one."""

ODD: list[Pair] = [
    ("", ""),
    ("", "Something."),
    ("A red car.", ""),
    ("A red car.", " \n\t"),
    ("Yes.", "Yes."),
    ("Yes", "No"),
    ("Yes.", "..."),
    ("Ein Bär im Wald, ☂ and café.", "Ein Bar im wald, ☂ & cafe\u0301."),
    ("左边的镜子", "左边的镜子"),
    ("It is the car's left mirror; 3,000.5 lumens.", "it's the CAR'S left-hand mirror: 3,000.5 lumens"),
    ("one\u2028two\u0085three", "one two\nthree"),
    ("a_b motor_car &quot;x&quot; <skipped>", 'car "x"'),
    ("the " * 40, "the the"),
]


def answers_of(path: Path) -> tuple[list[str], list[str]]:
    """The answers of a PRIST file before the last of each dialogue, and those last ones."""
    dialogues = json.loads(path.read_text(encoding="utf-8"))
    said = [[turn["value"] for turn in dialogue["dialogue"] if turn["from"] == "gpt"] for dialogue in dialogues]
    return [answer for answers in said for answer in answers[:-1]], [answers[-1] for answers in said]


def mixed(answers: list[str], count: int, seed: int = 0) -> list[Pair]:
    """Answers beside others, shuffled, cut and mixed ones, with the odd pairs among them."""
    draw = random.Random(seed)
    pairs: list[Pair] = list(ODD)
    while len(pairs) < count:
        reference, other = draw.choice(answers), draw.choice(answers).split()
        words = reference.split()
        cut = draw.randrange(len(words) + 1)
        made = [other, words[cut:], words[:cut] + other[cut:], draw.sample(words, len(words)), words[::2] + other[:3]]
        pairs.append((reference, " ".join(draw.choice(made))))
    draw.shuffle(pairs)
    return pairs
