"""Tokens per second that nano writes in 8 bits, over llama.cpp with the same language model.

    python benchmarks/decode.py --llama PYTHON [--model nano] [--context 512] [--tokens 64] [--rounds 5] [--threads 2]

One sequence, greedy, both sides from the same number of tokens of context. In each round every side reads a context
of its own and then writes tokens, one side after the other, so that whatever else the machine does meets all of them.
Ours runs through `Decoding`, as every answer does: in 8 bits, and with the weights as they are. llama.cpp runs in a
process of its own through llama-cpp-python, in the interpreter that `--llama` names, with the very GGUF that nano's
language model is made from; on ours LoRA is folded in on top, which changes no shape. Prints a table and, as its last
line, one line of JSON; `ratio` is of the medians and `ratio_of_best` of the best rounds, which other work on the
machine touches least; both are null without `--llama`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from miras.errors import MirasError
from miras.model.generation import Decoding, Row
from miras.model.language import Language
from miras.model.miras import Miras
from miras.model.pretrained import SMOLLM2
from miras.wheels import fetch

__all__ = ["FIRST_ID", "Llama", "main", "ours"]

FIRST_ID = 1000
"""Contexts are drawn from the tokens from here on: words, not control tokens."""

_PEER = """
import sys, time
from llama_cpp import Llama
path, threads, context, count = sys.argv[1], *map(int, sys.argv[2:])
model = Llama(path, n_ctx=context + count + 8, n_threads=threads, n_threads_batch=threads, verbose=False)
print("ready", flush=True)
for line in sys.stdin:
    model.reset()
    model.eval([int(token) for token in line.split()])
    token = model.sample(temp=0.0)
    started = time.perf_counter()
    for _ in range(count):
        model.eval([token])
        token = model.sample(temp=0.0)
    print(count / (time.perf_counter() - started), flush=True)
"""
"""What the other interpreter runs: a line of tokens in, tokens per second out."""
_FEWER = 8
"""How many times fewer tokens float32 writes, so that it does not take most of the time."""


class Llama:
    """llama.cpp in a process of its own."""

    def __init__(self, python: str, gguf: Path, *, threads: int, context: int, tokens: int) -> None:
        command = [python, "-c", _PEER, str(gguf), *map(str, (threads, context, tokens))]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "OMP_"))}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._read() == "ready", f"{python} should run llama-cpp-python; see what it says above"

    def __call__(self, prompt: list[int]) -> float:
        """Read a prompt, write tokens; tokens per second of the writing."""
        assert self._process.stdin
        self._process.stdin.write(" ".join(map(str, prompt)) + "\n")
        self._process.stdin.flush()
        return float(self._read())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@torch.inference_mode()
def ours(language: Language, prompt: list[int], tokens: int) -> float:
    """The same of a language model of ours."""
    decoding = Decoding(language, stop_id=-1)
    row = Row(language.embed(torch.tensor([prompt]))[0], limit=tokens + 2)
    decoding.join(row)
    while decoding.read():
        pass
    decoding.step()  # the first token comes of the prompt
    started = time.perf_counter()
    for _ in range(tokens):
        decoding.step()
    seconds = time.perf_counter() - started
    assert len(row.ids) == tokens + 1
    return tokens / seconds


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--llama", help="a Python that has llama-cpp-python; without it only our own sides run")
    parser.add_argument("--model", default="nano", help="nano or a folder that save_pretrained wrote")
    parser.add_argument("--context", type=int, default=512, help="tokens before the first that counts")
    parser.add_argument("--tokens", type=int, default=64, help="tokens that are written in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    language = Miras.from_pretrained(options.model, decode="int8").language
    quick = language.quick
    assert quick is not None

    def written(prompt: list[int], *, quickly: bool) -> float:
        language.quick = quick if quickly else None
        return ours(language, prompt, options.tokens if quickly else max(1, options.tokens // _FEWER))

    sides = {"int8": lambda p: written(p, quickly=True), "float32": lambda p: written(p, quickly=False)}
    with tempfile.TemporaryDirectory() as folder:
        llama = None
        if options.llama:
            [gguf] = fetch(SMOLLM2, Path(folder))
            llama = Llama(options.llama, gguf, threads=options.threads, context=options.context, tokens=options.tokens)
            sides["llama.cpp"] = llama
        draw = torch.Generator().manual_seed(0)
        speeds: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(options.rounds + 1):
            prompt = torch.randint(FIRST_ID, language.base_size, (options.context,), generator=draw).tolist()
            for name, side in sides.items():
                speed = side(prompt)
                if turn:  # the first round warms up
                    speeds[name].append(speed)
        if llama:
            llama.close()
    medians = {name: statistics.median(each) for name, each in speeds.items()}
    print(f"{options.model}, {options.threads} threads, {options.context} tokens of context, tokens per second")
    for name, each in speeds.items():
        print(f"{name:10} {medians[name]:8.1f}   rounds " + " ".join(f"{speed:.1f}" for speed in each))
    peer = medians.get("llama.cpp")
    figures = {
        "benchmark": "decode",
        "ratio": round(medians["int8"] / peer, 4) if peer else None,
        "ratio_of_best": round(max(speeds["int8"]) / max(speeds["llama.cpp"]), 4) if peer else None,
        "peer": "llama.cpp" if peer else None,
        "ratio_to_float": round(medians["int8"] / medians["float32"], 4),
        "tokens_per_second": {name: round(speed, 2) for name, speed in medians.items()},
        "context": options.context,
        "tokens": options.tokens,
        "rounds": options.rounds,
        "threads": options.threads,
        "model": options.model,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    try:
        main()
    except MirasError as error:
        sys.exit(str(error))
