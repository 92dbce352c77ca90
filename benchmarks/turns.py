"""Time to first word of turns 2 to 8 with everything kept, over the same turns computed from nothing.

    python benchmarks/turns.py [--model nano] [--rounds 3] [--threads 0]

Both sides hold one conversation about one picture, in one run. The kept session is asked turn after turn; from
nothing means that for every turn a fresh session encodes the picture and reads the whole history again. The
language model computes every token but is made to say given answers of about 15 tokens, so that random weights serve
as well as trained ones; what it would have said itself must be the same on both sides, token by token. Prints a table
and, as its last line, one line of JSON.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from miras.model.checkpoint import EMBEDDED, fresh, load
from miras.model.configuration import preset
from miras.model.miras import Miras
from miras.model.session import Session

__all__ = ["Turn", "main", "measure"]

TALK = (
    ("What do you see in this picture?", "I see a red car that is parked on a street near a house."),
    ("How many wheels does it show?", "It shows two wheels, one at the front and one at the back."),
    ("Which colour does the roof have?", "The roof has the same red colour as the doors of the car."),
    ("Is anybody sitting inside?", "No, the seats behind the side window look empty to me here."),
    ("What is written on the plate?", "The plate at its front is too small and blurred to be read."),
    ("Where would the driver look out?", "The driver looks out through the wide glass above the hood."),
    ("What helps against rain there?", "The two thin black arms on the glass wipe the rain away."),
    ("What else is there to be seen?", "There is a tree with green leaves to the left of the car."),
)
"""Questions and the answers that both sides give."""

TOLERANCE = 1e-3
"""How far the logits of both sides may be apart, in float32."""


@dataclass(frozen=True)
class Turn:
    """One turn of one side."""

    seconds: float
    """From the question to the first word of the answer."""
    logits: Tensor
    """(n, V) what the model would have said by itself at each token of the answer."""


@contextmanager
def _saying(model: Miras, answer: str) -> Iterator[list[Tensor]]:
    """The model computes its logits as ever, which are collected, and says the answer."""
    language, script, heard = model.language, model.processor.encoder.answer(answer), list[Tensor]()

    def logits(states: Tensor) -> Tensor:
        heard.append(type(language).logits(language, states))
        chosen = torch.zeros_like(heard[-1])
        chosen[:, script[len(heard) - 1]] = 1
        return chosen

    vars(language)["logits"] = logits
    try:
        yield heard
    finally:
        del vars(language)["logits"]


def _ask(session: Session, turn: int, started: float) -> Turn:
    """The turn is asked and answered to its end; the clock stops at its first word."""
    question, answer = TALK[turn]
    with _saying(session.model, answer) as heard:
        stream = session.stream(question)
        next(stream)
        seconds = time.perf_counter() - started
        for _ in stream:
            pass
    return Turn(seconds, torch.cat(heard))


def measure(model: Miras, image: np.ndarray) -> tuple[list[Turn], list[Turn]]:
    """All turns with everything kept, and from nothing. Raises AssertionError where the two differ."""
    session = model.session(image)
    kept, nothing = [], []
    for turn in range(len(TALK)):
        kept.append(_ask(session, turn, time.perf_counter()))
        started = time.perf_counter()
        fresh_one = model.session(image)
        for question, answer in TALK[:turn]:
            fresh_one.force(question, answer)
        nothing.append(_ask(fresh_one, turn, started))
        apart = (kept[-1].logits - nothing[-1].logits).abs().max().item()
        assert apart < TOLERANCE, f"turn {turn + 1}: the logits of both sides are {apart:.1e} apart"
        assert session.turns == fresh_one.turns
    return kept, nothing


def _model(name: str) -> tuple[Miras, str]:
    """The model and what it is: embedded weights where there are some, else random ones."""
    if (EMBEDDED / name / "config.json").is_file() or name not in ("tiny", "nano"):
        return load(name, merge_lora=True), name
    torch.manual_seed(0)
    return fresh(preset(name)).eval(), f"{name} with random weights where none are embedded"


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="nano", help="tiny, nano, or a folder that save_pretrained wrote")
    parser.add_argument("--rounds", type=int, default=3, help="conversations; the table shows medians")
    parser.add_argument("--threads", type=int, default=0, help="0 leaves it to torch")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    model, name = _model(options.model)
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    rounds = [measure(model, image) for _ in range(options.rounds)]
    sides = [[statistics.median(one[side][t].seconds for one in rounds) for t in range(len(TALK))] for side in (0, 1)]
    print(f"{name}, {torch.get_num_threads()} threads, median of {options.rounds} rounds, milliseconds to first word")
    print("turn   kept   from nothing   ratio")
    for turn, (kept, nothing) in enumerate(zip(*sides, strict=True), 1):
        print(f"{turn:4} {kept * 1e3:6.0f} {nothing * 1e3:14.0f} {kept / nothing:7.2f}")
    kept, nothing = (sum(side[1:]) for side in sides)
    figures = {
        "benchmark": "turns",
        "ratio": round(kept / nothing, 4),
        "peer": "the same turns computed from nothing",
        "kept_seconds": round(kept, 4),
        "from_nothing_seconds": round(nothing, 4),
        "turns": f"2 to {len(TALK)}",
        "rounds": options.rounds,
        "threads": torch.get_num_threads(),
        "model": name,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
