"""Stand-ins for judges behind a server: one that knows the truth, and those that are wrong in a known way."""

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from miras.evaluate.judge.forms import DIMENSIONS

Request = dict[str, Any]
Rounds = list[tuple[str, str]]

_LINE = re.compile(r'^\{"round": .*\}$', re.MULTILINE)


def asked(request: Request) -> str:
    """The words of the last user turn that asks for a judgement."""
    found = next(one["content"] for one in request["messages"] if one["role"] == "user")
    return found if isinstance(found, str) else "".join(part.get("text", "") for part in found)


def talks(request: Request) -> list[Rounds]:
    """The conversations in a request: one, or A and B."""
    found: list[Rounds] = []
    for line in _LINE.findall(asked(request)):
        one = json.loads(line)
        if one["round"] == 1:
            found.append([])
        found[-1].append((one["person"], one["assistant"]))
    return found


def order(request: Request) -> list[str]:
    """The dimensions in the order of the rubric."""
    return re.findall(rf"^({'|'.join(DIMENSIONS.values())}): ", asked(request), re.MULTILINE)


def scores(marks: Mapping[str, float], total: float | None = None) -> str:
    """Figure 8's JSON."""
    lines = [{"name": name, "score": score} for name, score in marks.items()]
    lines.append({"name": "total_score", "score": round(sum(marks.values()), 6) if total is None else total})
    return json.dumps({"scores": lines, "summary": "It is so."})


@dataclass
class Judge:
    """Knows the true conversations: a round that stands in its place with its own answer is right.

    Its scores are 5 times the share of right rounds, less up to `noise` by the seed of a request.
    """

    known: Mapping[str, Rounds] = field(default_factory=dict)
    """First question of the person, in any order → the true rounds."""
    noise: float = 0.0
    first: float = 0.0
    """What the first dimension of the rubric gains."""
    long: float = 0.0
    """What each word gains."""
    always: str = ""
    """Verdict of every comparison."""

    def __call__(self, request: Request) -> str:
        qualities = [self.quality(rounds) for rounds in talks(request)]
        if len(qualities) == 2:
            a, b = qualities
            verdict = self.always or ("A" if a > b else "B" if b > a else "tie")
            return json.dumps({"reason": "So it is.", "verdict": verdict})
        drawn = random.Random(json.dumps([request.get("seed"), talks(request)]))
        names = order(request)
        marks = {name: qualities[0] - self.noise * drawn.random() for name in sorted(names)}
        marks[names[0]] += self.first
        return scores({name: round(min(5.0, max(0.0, marks[name])), 3) for name in names})

    def quality(self, rounds: Rounds) -> float:
        true = self.known.get(questions_of(rounds), [])
        right = [q == known and bool(a) and a in said for (q, said), (known, a) in zip(rounds, true, strict=False)]
        return 5 * sum(right) / len(rounds) * self._room + self.long * sum(len(said.split()) for _, said in rounds)

    @property
    def _room(self) -> float:
        """Where something is added to a score, the best one without it leaves room for that."""
        return 0.6 if self.first or self.long else 1.0


def questions_of(rounds: Sequence[tuple[str, str]]) -> str:
    """Its questions, in any order: by them a conversation is known."""
    return json.dumps(sorted(question for question, _ in rounds))


def lenient(request: Request) -> str:
    """5 for everything."""
    return scores(dict.fromkeys(order(request), 5.0))


_GOOD = dict.fromkeys(DIMENSIONS.values(), 3.0)
BROKEN: Mapping[str, str] = {
    "no JSON": "It is a good conversation, I would say 4.",
    "left out": scores(dict.fromkeys(list(_GOOD)[:3], 3.0)),
    "out of range": scores({**_GOOD, "progression_score": 7.0}),
    "below": scores({**_GOOD, "progression_score": -1.0}),
    "NaN": scores({**_GOOD, "progression_score": float("nan")}),
    "infinite": scores({**_GOOD, "progression_score": float("inf")}),
    "text": scores(_GOOD).replace("3.0", '"3.0"'),
    "a truth": scores(_GOOD).replace("3.0", "true", 1),
    "nothing": scores(_GOOD).replace("3.0", "null", 1),
    "cut off": scores(_GOOD)[:-30],
    "another name": scores(_GOOD).replace("progression_score", "progress"),
    "twice": scores(_GOOD).replace("logical_coherence_score", "progression_score"),
    "a list": json.dumps([3, 3, 3, 3]),
    "bare": json.dumps(dict.fromkeys(DIMENSIONS.values(), 3)),
}
"""Replies that cannot be used."""


def broken(then: Callable[[Request], str], times: int) -> Callable[[Request], str]:
    """Breaks the first `times` replies to each question, each in another way, and answers well after that."""
    kinds = list(BROKEN.values())

    def reply(request: Request) -> str:
        again = sum(one["role"] == "assistant" for one in request["messages"])
        return kinds[(len(asked(request)) + again) % len(kinds)] if again < times else then(request)

    return reply
