"""Words per second of 8 conversations asked through the engine at once, over the same asked one after another.

    python benchmarks/together.py [--model nano] [--conversations 8] [--rounds 1] [--threads 0] [--decode float]

Both sides go through an engine, as a server's requests do: at once, each conversation is a thread that asks its next
question when it has its answer; one after another, there is one thread, and the engine writes one answer at a time.
Images are the photos that ship with the package, mirrored and cropped, a different one for each conversation. `ratio`
is of the questions after a conversation's first; `ratio_with_images` counts the first ones too, with which the engine
looks at each image, one after another on either side. Masks are decoded wherever an answer asks for one. Both sides
must give the same answers; in 8 bits their share is `same`. Prints a table and, as its last line, one line of JSON.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

from miras.data.images import load_image
from miras.engine.engine import Engine, EngineSettings
from miras.model.checkpoint import EMBEDDED, fresh, load
from miras.model.configuration import preset
from miras.model.miras import Miras
from miras.model.quick import Decode

__all__ = ["Side", "main", "measure"]

QUESTIONS = (
    "What do you see in this picture?",
    "Tell me more about what is in the middle.",
    "Which part of it would you touch first? Mark it.",
    "What is behind it, and which colour does it have?",
)


@dataclass(frozen=True)
class Side:
    """One way to hold all conversations."""

    seconds: tuple[float, float]
    """For the first questions, and for all later ones."""
    answers: tuple[tuple[str, ...], ...]
    """By conversation and question."""
    first_words: float
    """Median seconds from a later question to the first word of its answer."""

    def took(self, *, first: bool) -> float:
        """Seconds, with the first questions or without."""
        return sum(self.seconds) if first else self.seconds[1]

    def words(self, *, first: bool) -> int:
        """Words of the answers, with those to the first questions or without."""
        return sum(len(text.split()) for said in self.answers for text in said[0 if first else 1 :])


def pictures(count: int) -> list[np.ndarray]:
    """Different images of the sizes of photos."""
    folder = files("miras.serve") / "photos"
    whole = [load_image((folder / name).read_bytes()) for name in ("astronaut.jpg", "cat.jpg", "coffee.jpg")]
    half = [photo[:, : photo.shape[1] * 2 // 3] for photo in whole]
    all_of_them = [*whole, *(photo[:, ::-1] for photo in whole), *half, *(photo[:, ::-1] for photo in half)]
    return [np.ascontiguousarray(photo) for photo in all_of_them[:count]]


def _side(model: Miras, images: Sequence[np.ndarray], *, at_once: int) -> Side:
    waits = list[float]()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(at_once) as people:
        engine = Engine(model, Path(folder), EngineSettings(batch=at_once))
        try:
            names = [engine.open(image) for image in images]

            def talk(name: str, questions: Sequence[str]) -> list[str]:
                said = []
                for question in questions:
                    started, answer = time.perf_counter(), engine.ask(name, question)
                    pieces = list[Any]()
                    for piece in answer:
                        if not pieces:
                            waits.append(time.perf_counter() - started)
                        pieces.append(piece)
                    said.append(pieces[-1].text)
                return said

            marks, parts = [time.perf_counter()], []
            for questions in (QUESTIONS[:1], QUESTIONS[1:]):
                waits.clear()
                parts.append(list(people.map(talk, names, [questions] * len(names))))
                marks.append(time.perf_counter())
        finally:
            engine.stop()
    answers = tuple((*first, *later) for first, later in zip(*parts, strict=True))
    return Side((marks[1] - marks[0], marks[2] - marks[1]), answers, statistics.median(waits))


def measure(model: Miras, images: Sequence[np.ndarray]) -> tuple[Side, Side]:
    """At once, and one after another. Raises AssertionError where answers differ, unless they are in 8 bits.

    Rounding makes of the last digits of a prompt read in company differences that now and then decide a near tie.
    """
    one_by_one = _side(model, images, at_once=1)
    together = _side(model, images, at_once=len(images))
    assert model.language.decode == "int8" or together.answers == one_by_one.answers, "answers of both sides differ"
    return together, one_by_one


def _same(side: Side, other: Side) -> float:
    """Share of the answers that both sides gave."""
    pairs = zip(sum(side.answers, ()), sum(other.answers, ()), strict=True)
    return statistics.mean(answer == other_answer for answer, other_answer in pairs)


def _model(name: str, decode: Decode = "float") -> tuple[Miras, str]:
    """The model and what it is: embedded weights where there are some, else random ones."""
    if (EMBEDDED / name / "config.json").is_file() or name not in ("tiny", "nano"):
        return load(name, merge_lora=True, decode=decode), name
    torch.manual_seed(0)
    return fresh(preset(name)).eval(), f"{name} with random weights where none are embedded"


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="nano", help="tiny, nano, or a folder that save_pretrained wrote")
    parser.add_argument("--conversations", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=1, help="the table shows medians")
    parser.add_argument("--threads", type=int, default=0, help="0 leaves it to torch")
    parser.add_argument("--decode", choices=("float", "int8"), default="float", help="how answers are written")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    model, name = _model(options.model, options.decode)
    rounds = [measure(model, pictures(options.conversations)) for _ in range(options.rounds)]
    print(
        f"{name}, {torch.get_num_threads()} threads, {options.conversations} conversations, answers in "
        f"{model.language.decode}, words per second"
    )
    print("                      at once   one by one   ratio")
    ratios = []
    for first, label in ((False, "later questions"), (True, "with the first")):
        seconds = [statistics.median(sides[side].took(first=first) for sides in rounds) for side in (0, 1)]
        words = rounds[0][0].words(first=first)
        ratios.append(seconds[1] / seconds[0])
        print(f"{label:20} {words / seconds[0]:8.1f} {words / seconds[1]:12.1f} {ratios[-1]:7.2f}")
    waits = [statistics.median(sides[side].first_words for sides in rounds) for side in (0, 1)]
    print(f"first word after     {waits[0]:8.2f} {waits[1]:12.2f}   seconds, later questions")
    figures = {
        "benchmark": "together",
        "ratio": round(ratios[0], 4),
        "ratio_with_images": round(ratios[1], 4),
        "peer": "the same conversations one after another",
        "words": rounds[0][0].words(first=False),
        "conversations": options.conversations,
        "rounds": options.rounds,
        "threads": torch.get_num_threads(),
        "model": name,
        "decode": model.language.decode,
        "same": round(statistics.mean(_same(*sides) for sides in rounds), 4),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
