"""Text states of `[OBJ]phrase[SEG]`, computed once: the mask path learns from them without the language model.

Each phrase is put into a few short conversations; what the frozen language model makes of the span is kept. The
state before the span is kept too, for models in which the state that predicts a token stands for it.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from miras import tokens
from miras.data import augment
from miras.data.masks import encode
from miras.data.photos import Photo, PhotoObject
from miras.data.scenes import Cutout, clean_name
from miras.errors import DataError
from miras.files import write_beside
from miras.model.miras import Miras

__all__ = ["CONTEXTS", "Context", "PhraseStates", "all_phrases", "contexts_of", "phrase_states", "read_states"]

CONTEXTS = (
    ("Please segment the {}.", "It is {}."),
    ("{}", "{}"),
    ("Can you mark the {} in this photo?", "Sure, here is the {}."),
    ("Outline that for me, please.", "That is the {}."),
)
"""Questions and answers around a phrase; the answer holds its `[OBJ]phrase[SEG]`."""

_BATCH = 64
"""Phrases that are read at once."""

Context = tuple[str, str, bool]
"""Question, answer, and whether the answer names the phrase."""

_Progress = Callable[[int, int], None]
"""Told how many phrases of how many are done, in each context anew."""


def all_phrases(photos: Iterable[Photo], cutouts: Iterable[Cutout]) -> list[str]:
    """Everything that can be asked for: phrases and classes, also of mirrored photos, and names of cut-outs."""
    said = {words for photo in photos for thing in photo.objects for words in (thing.phrase, thing.class_name)}
    pixel = encode(np.ones((1, 1), bool))
    plain = [PhotoObject(words, words, pixel, 1.0) for words in sorted(said)]
    mirrored = augment.flip(Photo(Path("words"), tuple(plain), array=np.zeros((1, 1, 3), np.uint8)))
    named = {clean_name(cutout.name) for cutout in cutouts} - {""}
    return sorted(said | named | {thing.phrase for thing in mirrored.objects})


class PhraseStates:
    """States of phrases in several contexts, one behind the other."""

    def __init__(self, states: Tensor, first: Tensor, phrases: Sequence[str]) -> None:
        self.states = states
        """(n, D) all states."""
        self.first = first
        """(phrases, contexts + 1) where each one's states begin and end."""
        self.index = {phrase: index for index, phrase in enumerate(phrases)}

    def to(self, device: torch.device) -> "PhraseStates":
        """The same states on a device; where they begin stays on the CPU."""
        return PhraseStates(self.states.to(device), self.first, list(self.index))

    def spans(self) -> Tensor:
        """(m, D) every state that can be within a span: all but the one before it."""
        before = torch.zeros(len(self.states), dtype=torch.bool)
        before[self.first[:, :-1].flatten()] = True
        return self.states[~before.to(self.states.device)]

    def pick(self, phrases: Sequence[str], context: np.ndarray) -> tuple[Tensor, Tensor]:
        """Phrases and the context (S,) of each → states (S, n, D) and spans in them (S, 2).

        Raises DataError for a phrase that was not in the list.
        """
        if unknown := [phrase for phrase in phrases if phrase not in self.index]:
            raise DataError(f"no text states for {unknown[0]!r}; they cover the phrases, classes and names of the data")
        rows = torch.tensor([self.index[phrase] for phrase in phrases], dtype=torch.long)
        where = torch.as_tensor(context, dtype=torch.long)
        start, end = self.first[rows, where], self.first[rows, where + 1]  # (S,)
        steps = torch.arange(int((end - start).max()) if len(rows) else 0)
        place = torch.minimum(start[:, None] + steps, end[:, None] - 1)  # (S, n)
        span = torch.stack([torch.ones_like(start), end - start - 1], 1)
        return self.states[place.to(self.states.device)].float(), span


def phrase_states(model: Miras, phrases: Sequence[str], folder: Path, told: _Progress) -> PhraseStates:
    """The states of all phrases by a model's language part, each context kept in a file named by what it is from."""
    read = [_in_context(model, phrases, context, folder, told) for context in contexts_of(model.config.alignment)]
    rows = [states[index] for index in range(len(phrases)) for states in read]
    ends = torch.tensor([0, *map(len, rows)]).cumsum(0)
    first = torch.stack([ends[:-1].reshape(len(phrases), -1), ends[1:].reshape(len(phrases), -1)], -1)
    return PhraseStates(torch.cat(rows), torch.cat([first[..., 0], first[:, -1:, 1]], 1), phrases)


def _in_context(model: Miras, phrases: Sequence[str], context: Context, folder: Path, told: _Progress) -> list[Tensor]:
    """The states (n, D) of each phrase in one context, from the folder where they are there."""
    path = folder / f"phrases-{_fingerprint(model, phrases, context)}.pt"
    if not path.is_file():
        rows: list[Tensor] = [torch.empty(0)] * len(phrases)
        order = sorted(range(len(phrases)), key=lambda index: len(phrases[index]))  # equal lengths need no padding
        for begin in range(0, len(order), _BATCH):
            told(begin, len(order))
            batch = order[begin : begin + _BATCH]
            for index, states in zip(batch, read_states(model, [(phrases[i], context) for i in batch]), strict=True):
                rows[index] = states
        told(len(order), len(order))
        with write_beside(path) as beside:
            torch.save({"states": torch.cat(rows), "lengths": torch.tensor([len(row) for row in rows])}, beside)
    kept = torch.load(path, weights_only=True)
    return list(kept["states"].split(kept["lengths"].tolist()))


def contexts_of(alignment: str) -> list[Context]:
    """The conversations around each phrase, with its name written in all of them, in half or in none.

    Where the answer does not name it the question must.
    """
    if alignment == "full":
        return [(*pair, True) for pair in CONTEXTS]
    telling = [pair for pair in CONTEXTS if "{}" in pair[0]]
    return [(*pair, named) for named in ((True, False) if alignment == "half" else (False,)) for pair in telling]


@torch.inference_mode()
def read_states(model: Miras, phrases: Sequence[tuple[str, Context]]) -> list[Tensor]:
    """The states (n, D) of each phrase's span in its context, and of the token before it, in half precision."""
    encoder, device = model.processor.encoder, model.device
    rows, found = [], []
    for phrase, (question, answer, named) in phrases:
        asked = encoder.question(question.format(phrase), image_tokens=0)
        rows.append(asked + encoder.answer(answer.format(tokens.write(phrase) if named else tokens.SEG)))
        found.append(tokens.spans(rows[-1], obj_id=encoder.obj_id, seg_id=encoder.seg_id)[0])
    longest = max(map(len, rows))
    ids = torch.tensor([row + [encoder.stop_id] * (longest - len(row)) for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):  # on a CPU it takes twice as long
        states = model.language.states(model.language.embed(ids), mask)
    return [row[span.start - 1 : span.end + 1].half().cpu() for row, span in zip(states, found, strict=True)]


def _fingerprint(model: Miras, phrases: Sequence[str], context: Context) -> str:
    """A hash of what the language part computes with, the phrases and the context."""
    digest = hashlib.sha256(repr((list(phrases), context)).encode())
    weights = model.language.state_dict()
    for name, weight in weights.items():
        if ".lora_B." in name:  # the pair counts by its product: nothing, whatever the seed, before it is trained
            weight = weight @ weights[name.replace(".lora_B.", ".lora_A.")]
        if ".lora_A." not in name:
            digest.update(repr((name, weight.double().sum().item(), weight.double().abs().sum().item())).encode())
    return digest.hexdigest()[:16]
